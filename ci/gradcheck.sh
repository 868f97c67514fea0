#!/usr/bin/env bash
# Full-Jacobian gradient checks side by side, on one core: of the reference, of a kernel on the
# emulator, and PyTorch's slow gradcheck.
#   gradcheck.sh [VARIANT]       default: two_sweep
# Batch norm + leaky ReLU, training, 8x32x8x8 in float64: 16,384 inputs, and gamma and beta. PyTorch
# takes about two minutes; where it is not installed the line says so.
# Exit code: 0 the checks passed, 1 one failed, 2 the setup is wrong.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$root"
need "${build_packages[@]}"
variant=${1:-two_sweep}
if [ ! -f "$build/CMakeCache.txt" ]; then
  no_cuda_reason="gradients are timed on the emulator"
  configure OFF -DABN_TESTS=OFF
fi
make_targets abn-verify
bin=$build/bin/abn-verify
problem=n8c32s64,f64,leaky_relu:0.01

seconds() {
  awk '{ for (i = 1; i < NF; ++i) if ($i == "in") print $(i + 1) }' <<<"$1" | head -n 1
}

# The fastest of five: a tenth of a second is easily disturbed.
own=
for _ in 1 2 3 4 5; do
  text=$("$bin" grad 'reference/gradient/f64/nchw/jacobian_*' --problem "$problem" --seed 1)
  took=$(seconds "$text")
  if [ -z "$own" ] || awk "BEGIN { exit !($took < $own) }"; then own=$took; fi
done
begin=$(date +%s.%N)
"$bin" grad "$variant/gradient/f64/nchw/jacobian_*" --problem "$problem" --device emulator \
  --seed 1 --threads 1 --quiet >/dev/null
kernel=$(awk "BEGIN { printf \"%.1f\", $(date +%s.%N) - $begin }")

python=python3
/usr/bin/python3 -c 'import torch' 2>/dev/null && python=/usr/bin/python3
peer=$("$python" ci/gradcheck.py 8 32 8 8) || true
printf '%-52s %s s\n' "reference, full Jacobian (fastest of 5)" "$own" \
  "$variant on the emulator, full Jacobian" "$kernel"
case $peer in
  [0-9]*)
    theirs=${peer%% *}
    printf '%-52s %s s\n' "torch.autograd.gradcheck, slow mode" "$theirs"
    printf 'PyTorch takes %.0f times as long as the reference and %.1f times as long as %s %s.\n' \
      "$(awk "BEGIN { print $theirs / $own }")" "$(awk "BEGIN { print $theirs / $kernel }")" \
      "$variant" "on the emulator"
    ;;
  *) say "$peer; with it this would print the ratio to its slow gradcheck." ;;
esac
