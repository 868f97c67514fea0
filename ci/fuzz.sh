#!/usr/bin/env bash
# Builds the fuzz targets of tests/fuzz with clang++, libFuzzer and the sanitizers, in a build
# folder of their own, runs them and prints a table: executions, coverage, crashes.
#   fuzz.sh [TARGET]...           8 seconds each; all targets by default
#   ABN_FUZZ_SECONDS=600 fuzz.sh  ten minutes each: all of them take an hour
# Exit code: 0 no crash, 1 a crash, which the table names, 2 the setup is wrong.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export ABN_BUILD_DIR=${ABN_FUZZ_BUILD_DIR:-$here/../build-fuzz}
. "$here/setup.sh"
cd "$root"
need cmake ninja-build libfmt-dev nlohmann-json3-dev
clang=$(command -v clang++ || command -v clang++-14 || true)
if [ -z "$clang" ]; then
  need clang-14
  clang=clang++-14
fi
if ! cmake -S tests/fuzz -B "$build" -G Ninja -DCMAKE_CXX_COMPILER="$clang" >"$log" 2>&1; then
  cat "$log" >&2
  exit 2
fi
make_targets all
tests/fuzz/run.sh "$build" "$@"
