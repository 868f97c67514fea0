#!/usr/bin/env bash
# Builds everything that this machine can build and runs the tests.
# Exit code: 0 all passed, else not.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$root"
need "${build_packages[@]}" "${test_packages[@]}" "${report_packages[@]}" jq
want "${source_packages[@]}" "${python_packages[@]}"
want "${framework_packages[@]}"
find_python

if have_nvcc; then
  configure ON -DABN_TESTS=ON "${python_options[@]}" \
    "-DCMAKE_CUDA_ARCHITECTURES=80-real;90-real;100"
else
  no_cuda_reason="nvcc is not on PATH"
  configure OFF -DABN_TESTS=ON "${python_options[@]}"
fi
make_targets all
# A kernel that spills is slow on every GPU, and no GPU is needed to see it.
if have_nvcc; then ci/kernel_resources.sh; fi
ctest --test-dir "$build" -j "$jobs" --output-on-failure --no-tests=error \
  --output-junit "$build/junit.xml"
