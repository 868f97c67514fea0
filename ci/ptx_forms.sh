#!/usr/bin/env bash
# Prints how many instruction forms the executor of compiled kernels knows, how many its tests meet,
# of how many a break is noticed, and how many the in-tree variants meet in a tier.
#
#   ptx_forms.sh [TIER] [BIN]      default: smoke, build/bin
#
# The last count needs a build with nvcc; without one it is left out and said so.
# Exit code: 0, 1 a form is not met or its break not noticed, 2 the setup is wrong.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tier=${1:-smoke}
bin=$(cd "${2:-$root/build/bin}" 2>/dev/null && pwd) || bin=
if [ -z "$bin" ] || [ ! -x "$bin/ptx-tests" ] || [ ! -x "$bin/abn-verify" ]; then
  echo "There are no ptx-tests and abn-verify in ${2:-build/bin};" \
    "build them, then run this again." >&2
  exit 2
fi
cd "$bin" || exit 2
met=$(mktemp)
trap 'rm -f "$met"' EXIT
if [ -e variants.ptx.so ]; then
  ABN_PTX_FORMS=$met ./abn-verify run '*/@(forward|backward)/*' --device ptx --tier "$tier" --quiet
  # 1: some check fails, which other tests are for.
  if [ $? -gt 1 ]; then exit 2; fi
else
  echo "The in-tree variants were not compiled, so that no forms of a tier are counted;" \
    "build where nvcc is on PATH."
fi
said=$(ABN_PTX_FORMS_OF_RUN=$met ./ptx-tests --gtest_brief=1 \
  --gtest_filter='PtxForms.*:PtxApproximations.*')
code=$?
grep '^forms' <<<"$said" | sed "s/met in the run/met in the $tier tier/"
if [ $code -ne 0 ]; then
  grep -v '^forms' <<<"$said"
  exit 1
fi
