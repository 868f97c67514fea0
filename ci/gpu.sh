#!/usr/bin/env bash
# What runs on a GPU runner, in stages of under 8 minutes that each write a record: doctor, one full tier a variant, ctest -L gpu.
#
#   gpu.sh [--out DIR] [STAGE...]       stages: doctor VARIANT... ctest; default: all of them
#
# Needs a driver and build/bin (or a copy of it, in which this script lies too); no network, no package manager, no toolkit.
# Exit code: 0 all stages passed, 1 a stage failed or was skipped, 2 the setup is wrong.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ -x "$here/abn-verify" ]; then bin=$here; else bin=$here/../build/bin; fi
if [ ! -x "$bin/abn-verify" ]; then
  echo "There is no abn-verify in $bin; build it with ci/test.sh or cmake --preset hopper, or copy build/bin here." >&2
  exit 2
fi
out=$here/../fixtures/records
[ -d "$out" ] || out=$PWD/records
if [ "${1:-}" = --out ]; then
  [ $# -ge 2 ] || { echo "--out needs a folder; write for example gpu.sh --out records" >&2; exit 2; }
  out=$2
  shift 2
fi
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 2
limit=${ABN_STAGE_SECONDS:-480}
stages=("$@")
if [ ${#stages[@]} -eq 0 ]; then
  mapfile -t variants < <("$bin/abn-verify" list --names)
  stages=(doctor "${variants[@]}" ctest)
fi

failed=()
for stage in "${stages[@]}"; do
  echo "== $stage"
  begin=$SECONDS
  case $stage in
    doctor) timeout "$limit" "$bin/abn-verify" doctor --require-gpu | tee "$out/doctor.txt" ;;
    ctest)
      # A skip is a failure here: ctest itself would call a run in which everything was skipped a success.
      (cd "$bin" && timeout "$limit" ctest -L gpu --no-tests=error --output-on-failure --output-junit "$out/ctest.xml") | tee "$out/ctest.txt"
      [ "${PIPESTATUS[0]}" -eq 0 ] && ! grep -q 'Skipped' "$out/ctest.txt"
      ;;
    *) timeout "$limit" "$bin/abn-verify" run "$stage/*" --device cuda:0 --tier full --quiet --out "$out/$stage.json" ;;
  esac
  code=$?
  echo "== $stage: exit code $code after $((SECONDS - begin)) s"
  [ $code -eq 0 ] || failed+=("$stage")
done

if [ ${#failed[@]} -gt 0 ]; then
  echo "Failed or skipped: ${failed[*]}. The records are in $out; run one stage again with: gpu.sh ${failed[0]}"
  exit 1
fi
echo "All ${#stages[@]} stages passed. The records are in $out."
