#!/usr/bin/env bash
# clang-tidy finds nothing, by the checks of .clang-tidy, in the host files of verify/ and
# cuda/emulator/ and in the headers that they include.
#   tidy.sh SOURCE_FOLDER BUILD_FOLDER          a sample, without the static analyser: a minute
#   tidy.sh SOURCE_FOLDER BUILD_FOLDER --all    everything: ten minutes, for the nightly job
# The sample is fixed files that include most headers, and what the last commit and the work tree
# have changed, at most eight. Exit code: 0 nothing found, 1 something, 77 no clang-tidy.
set -euo pipefail
cd "$1"
. tests/source/llvm.sh
llvm clang-tidy
# The check itself must be able to fail, and to read the headers of the compiler of the build.
planted=$(mktemp -d)
trap 'rm -rf "$log" "$planted"' EXIT
cp .clang-tidy "$planted"
printf '#include <%s>\n' algorithm atomic filesystem functional ranges >"$planted/planted.cpp"
echo 'int* f(bool b) { return b ? 0 : new int; }' >>"$planted/planted.cpp"
"$tool" --quiet "$planted/planted.cpp" -- -std=c++20 >"$log" 2>/dev/null || true
if grep -q clang-diagnostic-error "$log"; then
  echo "Skipped: $tool cannot read the headers of the standard library that is installed here."
  exit 77
fi
if ! grep -q modernize-use-nullptr "$log"; then
  echo "A planted 0 for nullptr was not found; mend .clang-tidy."
  exit 1
fi
build=$2
if [ ! -f "$build/compile_commands.json" ] || [ ! -f "$build/generated/abn_build.hpp" ]; then
  echo "There is no build in $build; build it first, as clang-tidy asks how a file is compiled."
  exit 1
fi
# What this build compiles of these files, without those that include headers of the CUDA toolkit.
compiled() {
  local name
  while read -r name; do
    if [[ -f $name && $name != *_cuda.cpp ]] &&
      grep -qF "$PWD/$name\"" "$build/compile_commands.json"; then
      echo "$name"
    fi
  done
}
fixed=(verify/oracle/in_double.cpp verify/expect/expect_backward.cpp verify/command/run.cpp
  verify/report/report.cpp cuda/emulator/machine.cpp)
checks=()
if [ "${3:-}" = --all ]; then
  mapfile -t files < <(git ls-files 'verify/*.cpp' 'cuda/emulator/*.cpp' | compiled)
else
  checks=(--checks=-clang-analyzer-*)  # which takes as long as all others together
  # A header stands for the source beside it.
  mapfile -t files < <({
    printf '%s\n' "${fixed[@]}"
    { git diff --name-only HEAD~1 2>/dev/null || true; } |
      sed -nE 's,^((verify|cuda/emulator)/.*)\.[ch]pp$,\1.cpp,p' | sort -u | head -n 8
  } | sort -u | compiled)
fi
# A check that warns of an option of another compiler says nothing of the code.
printf '%s\0' "${files[@]}" |
  xargs -0 -n 1 -P "$(nproc)" "$tool" -p "$build" --quiet "${checks[@]}" \
    --extra-arg=-Wno-unknown-warning-option >"$log" 2>/dev/null || {
  grep -v '^$' "$log"
  echo "clang-tidy found what is above; mend it, or say NOLINT(check) and why where it is meant."
  exit 1
}
echo "${#files[@]} files, nothing found: ${files[*]}"
