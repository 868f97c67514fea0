#!/usr/bin/env bash
# The in-tree variants as nvcc compiled them, on the executor, every access looked at, under many
# seeds: right kernels, so each finding is an alarm, either false or of a kernel that is not right.
#
#   schedules.sh [FIRST [LAST]]     seeds, default 1 to 200; seven schedules and other data each
#
# Runs the abn-verify of the build folder, or of ABN_BIN; without nvcc there is nothing to run.
# Exit code: 0 no alarm, 1 an alarm, 2 the setup is wrong, 77 there are no compiled variants.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bin=${ABN_BIN:-${ABN_BUILD_DIR:-$root/build}/bin}
first=${1:-1} last=${2:-200}
number='^[1-9][0-9]{0,8}$'
if ! [[ $first =~ $number && $last =~ $number ]] || [ "$first" -gt "$last" ]; then
  echo "Seeds are whole numbers from 1, the first not above the last; write schedules.sh 1 200." >&2
  exit 2
fi
if [ ! -x "$bin/abn-verify" ]; then
  echo "There is no abn-verify in $bin; run ci/test.sh, or name a folder by ABN_BIN." >&2
  exit 2
fi
if [ ! -e "$bin/variants.ptx.so" ]; then
  echo "The variants were not compiled for GPUs; build where nvcc is on PATH." >&2
  exit 77
fi
alarms=0 runs=0
for ((seed = first; seed <= last; ++seed)); do
  output=$("$bin/abn-verify" run --tier quick --only-sanitize --device ptx --seed "$seed" \
    --quiet 2>&1)
  code=$?
  if [ $code -ge 2 ]; then
    printf '%s\n' "$output" >&2
    exit 2
  fi
  ((++runs))
  [ $code -eq 0 ] && continue
  alarms=$((alarms + $(grep -c '^FAIL ' <<<"$output")))
  printf 'seed %s\n%s\n' "$seed" "$output"
done
echo "$alarms alarms in $runs runs of all variants, seeds $first to $last"
[ $alarms -eq 0 ]
