#!/usr/bin/env bash
# Everything that runs without a GPU under AddressSanitizer and UBSan, in a build folder of its own:
# the judge, the emulator and the kernels on it. The kernels that are instrumented for the
# emulator's own sanitiser are compiled without (ci/cmake/sanitizer.cmake).
#   asan.sh [CTEST ARGUMENT...]      for example asan.sh -R verify.Runner
# Exit code: 0 all passed, 1 a test failed or a finding ended it, 2 the setup is wrong.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export ABN_BUILD_DIR=${ABN_ASAN_BUILD_DIR:-$here/../build-asan}
. "$here/setup.sh"
cd "$root"
need "${build_packages[@]}" "${test_packages[@]}"
if ! cmake --preset asan -B "$build" >"$log" 2>&1; then
  cat "$log" >&2
  exit 2
fi
make_targets all
# Stacks of fibers are not the thread's: a frame that is kept on the heap to find its use after the
# return would be freed with another stack's. Kernels that are ended by a finding leave memory
# behind on stacks that are never unwound, so leaks are no finding.
export ASAN_OPTIONS=detect_stack_use_after_return=0:detect_leaks=0:${ASAN_OPTIONS:-}
export UBSAN_OPTIONS=print_stacktrace=1:${UBSAN_OPTIONS:-}
ctest --test-dir "$build" -j "$jobs" -LE 'gpu|source' --output-on-failure --no-tests=error \
  --timeout 3600 --output-junit "$build/junit.xml" "$@"
