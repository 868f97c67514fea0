#!/usr/bin/env bash
# Compiles every stranger, right and with each planted bug, to the text in fixtures/ptx/strangers.
set -euo pipefail
cd "$(dirname "$0")/../../.."
if ! command -v nvcc > /dev/null; then
  echo "nvcc is not on PATH; put the bin folder of a CUDA toolkit there" >&2
  exit 2
fi
release=$(nvcc --version | sed -n 's/.*, V\([0-9.]*\)$/\1/p')
flags="-std=c++20 -O3 -arch=compute_90 -I ."
for name in static_shared{,_planted_1} cub_reduce{,_planted_1,_planted_2} \
            warp_atomics{,_planted_1,_planted_2} half_vectors{,_planted_1}; do
  source=tests/ptx/strangers/${name%_planted_*}.cu
  planted=0
  [[ $name == *_planted_* ]] && planted=${name##*_}
  text=fixtures/ptx/strangers/$name.ptx
  # shellcheck disable=SC2086
  nvcc $flags -DPLANTED="$planted" -ptx -o "$text.new" "$source"
  {
    echo "// $source, compiled by nvcc $release with"
    echo "// $flags -DPLANTED=$planted -ptx."
    sed -n '/^\.version/,$p' "$text.new"
  } > "$text"
  rm "$text.new"
done
