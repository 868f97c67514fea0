#!/usr/bin/env bash
# Compiles the planted kernels of tests/cuda/planted_kernels to the text in fixtures/ptx/planted.
#
# Their inline namespace is the one of the emulator's build, so that a kernel has one symbol there
# and here.
set -euo pipefail
cd "$(dirname "$0")/../../.."
if ! command -v nvcc > /dev/null; then
  echo "nvcc is not on PATH; put the bin folder of a CUDA toolkit there" >&2
  exit 2
fi
release=$(nvcc --version | sed -n 's/.*, V\([0-9.]*\)$/\1/p')
flags="-x cu -std=c++20 -O3 -arch=compute_90 -I . -DABN_BUILD=on_sanitizer"
for source in tests/cuda/planted_kernels/*.cpp; do
  name=$(basename "$source" .cpp)
  [[ $name == specimens ]] && continue  # right kernels of the emulator's session tests
  text=fixtures/ptx/planted/$name.ptx
  # shellcheck disable=SC2086
  nvcc $flags -ptx -o "$text.new" "$source"
  {
    echo "// $source, compiled by nvcc $release with"
    echo "// $flags -ptx."
    sed -n '/^\.version/,$p' "$text.new"
  } > "$text"
  rm "$text.new"
done
