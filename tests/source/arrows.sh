#!/usr/bin/env bash
# Checks the arrows between the rooms: the oracle and the kernels share no formula, so they include nothing of each other.
#   arrows.sh SOURCE_FOLDER
set -u
cd "$1" || exit 2
bad=0
# forbid ROOM PATTERN WHY: no file of the room may include what matches the pattern.
forbid() {
  local found
  found=$(grep -rnE --include='*.h' --include='*.hpp' --include='*.cpp' --include='*.cu' --include='*.cuh' "^[[:space:]]*#[[:space:]]*include[[:space:]]*[\"<]($2)" "$1")
  if [ -n "$found" ]; then
    echo "$found"
    echo "  ^ $3"
    bad=1
  fi
}
forbid reference '(\.\./)*(cuda|verify|tests)/' 'reference/ knows nothing of kernels, the judge or the tests'
forbid reference 'cuda_|.*\.cuh' 'reference/ knows nothing of CUDA'
forbid cuda '(\.\./)*(reference|verify|tests)/' 'cuda/ knows nothing of the oracle, the judge or the tests'
forbid verify '(\.\./)*tests/' 'verify/ knows nothing of the tests'
forbid verify '(\.\./)*cuda/(device|emulator/(cuda|[a-qs-z]))' 'verify/ sees the kernels through cuda/kernel.h, cuda/registry.h and cuda/emulator/report.h only'
# The check itself must be able to fail: a planted include has to be found.
planted=$(mktemp -d)
trap 'rm -r "$planted"' EXIT
echo '#include "reference/statistics.hpp"' >"$planted/x.cu"
before=$bad
forbid "$planted" '(\.\./)*(reference|verify|tests)/' 'planted' >/dev/null
if [ $bad -eq 0 ]; then
  echo "The planted include was not found; the check is broken, mend tests/source/arrows.sh."
  exit 1
fi
exit "$before"
