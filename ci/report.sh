#!/usr/bin/env bash
# The main job: judges every in-tree variant, on made-up data and on real tensors, proves gradients,
# runs the studies, and writes report/ (HTML, Markdown, JSON). Uses the GPU where there is one, the
# emulator elsewhere.
# Exit code: 0 all passed, 1 a check failed, 2 the setup is wrong.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$root"
need "${build_packages[@]}" "${report_packages[@]}"

cuda=OFF
no_cuda_reason="no GPU here"
if have_gpu; then
  if have_nvcc; then cuda=ON; else no_cuda_reason="there is a GPU but nvcc is not on PATH"; fi
fi
if [ $cuda = ON ]; then
  configure ON -DABN_TESTS=OFF -DCMAKE_CUDA_ARCHITECTURES=native
else
  configure OFF -DABN_TESTS=OFF
fi
make_targets abn-verify plugin_mutants

bin=$build/bin/abn-verify
mkdir -p report
outcome=0
keep() { local code=$?; [ $code -ne 2 ] || exit 2; [ $code -le $outcome ] || outcome=$code; }
"$bin" run --tier smoke --tensors fixtures/real --out report/variants.json --quiet || keep
"$bin" run --only-sanitize --device emulator --out report/sanitized.json --quiet || keep
"$bin" grad --tier smoke --out report/gradients.json --quiet || keep
"$bin" check fixtures/real --out report/recorded.json --quiet || keep
"$bin" study inversion --out report/inversion.json --quiet
"$bin" study judges --out report/judges.json --quiet
# Fewer channels than fixtures/studies/bounds.json has: seconds instead of minutes.
"$bin" study bounds --channels 1000 --out report/bounds.json --quiet || keep
"$bin" plan --out report/plan.json >/dev/null
studies=(report/inversion.json report/bounds.json report/judges.json report/plan.json)
for variant in $("$bin" list --names); do
  echo "$variant:"
  "$bin" study conventions "$variant" --device auto --out "report/conventions-$variant.json" \
    --quiet || keep
  studies+=("report/conventions-$variant.json")
done
"$bin" report report/variants.json report/sanitized.json report/gradients.json \
  report/recorded.json "${studies[@]}" --out report || keep
exit $outcome
