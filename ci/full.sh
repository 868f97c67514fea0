#!/usr/bin/env bash
# The nightly job: the full tier of every check, the sharpness of the bounds, five minutes of
# hunting through each variant and every property with more cases, under a seed of its own that is
# printed; all arguments of the device's functions, and a thousandth of those of every instruction
# that takes one f32; where nvcc is, the compiled variants on the executor under 200 more seeds;
# then clang-tidy on every file, the tests under AddressSanitizer and UBSan, and an hour of fuzzing.
#   full.sh            a random seed
#   ABN_SEED=N full.sh that one again
# Exit code: 0 all passed, 1 something failed, 2 the setup is wrong.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$root"
need "${build_packages[@]}" "${test_packages[@]}"
want "${source_packages[@]}"
seed=${ABN_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
say "Seed $seed; the same run again: ABN_SEED=$seed ci/full.sh"

no_cuda_reason="the full tier of a GPU is ci/gpu.sh"
configure OFF -DABN_TESTS=ON
make_targets all
bin=$build/bin
outcome=0
keep() { local code=$?; [ $code -ne 2 ] || exit 2; [ $code -le $outcome ] || outcome=$code; }
run() { "$bin/abn-verify" "$@" --seed "$seed" || keep; }
run run --tier full --device emulator --out "$build/full-run.json"
run run --only-sanitize --tier full --device emulator --out "$build/full-sanitize.json"
run grad --tier full --device emulator --out "$build/full-grad.json"
run study bounds --out "$build/full-bounds.json" --quiet
for variant in $("$bin/abn-verify" list --names); do
  run run "$variant" --hunt 300 --device emulator --out "$build/full-hunt-$variant.json" --quiet
done
(cd "$bin" && ABN_TIER=full ABN_SOURCE_DIR=. RC_PARAMS="seed=$seed" \
  ./check-tests --gtest_filter='*Propert*:*Planted*') || keep
(cd "$bin" && ABN_TIER=full ABN_SOURCE_DIR=. ./mutant-tests \
  --gtest_filter='CleanTwins*:QuickScore*') || keep
(cd "$bin" && ABN_TIER=full ABN_SEED="$seed" ABN_SOURCE_DIR=. ./ptx-tests \
  --gtest_filter='PtxEveryPattern.*:PtxFunctions.*') || keep
if have_nvcc; then  # in a build of their own: this one knows no CUDA
  (build=$build-nvcc log=$build-nvcc/build.log
   mkdir -p "$build"
   configure ON -DABN_TESTS=OFF
   make_targets abn-verify abn_kernels_ptx) || exit 2
  ABN_BIN=$build-nvcc/bin ci/schedules.sh $((seed % 100000000 + 1)) \
    $((seed % 100000000 + 200)) || keep
else
  say "Without nvcc the compiled variants are not run on the executor."
fi
tests/source/tidy.sh . "$build" --all || { [ $? -eq 77 ] || outcome=1; }
ci/asan.sh || keep
export ABN_FUZZ_SECONDS=${ABN_FUZZ_SECONDS:-600} ABN_FUZZ_SEED=$((seed % 4294967295 + 1))
ci/fuzz.sh || keep
exit $outcome
