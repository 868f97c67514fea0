#!/usr/bin/env bash
# Compiles every kernel for Hopper and prints its registers, spills and static shared memory; fails
# where one spills.
#
#   kernel_resources.sh [VARIANT...]      default: every cuda/*.cu
#
# Needs nvcc, no GPU. Dynamic shared memory is chosen at launch and not seen here.
# Exit code: 0 no spills, 1 a kernel spills, 2 the setup is wrong.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 2
if ! command -v nvcc >/dev/null; then
  echo "nvcc is not on PATH; install the CUDA toolkit or add its bin folder to PATH," \
    "then run this again." >&2
  exit 2
fi
variants=("$@")
if [ ${#variants[@]} -eq 0 ]; then
  for source in cuda/*.cu; do variants+=("$(basename "$source" .cu)"); done
fi
demangle() {
  local filter
  for filter in cu++filt c++filt cat; do
    if command -v $filter >/dev/null; then
      $filter
      return
    fi
  done
}

for variant in "${variants[@]}"; do
  if [ ! -f "cuda/$variant.cu" ]; then
    echo "There is no cuda/$variant.cu; name a file of cuda/ without its ending." >&2
    exit 2
  fi
done

# A line a kernel of one variant into $2/VARIANT; the compiler's messages, where it fails.
resources_of() {
  local variant=$1 said=$2/$1.log
  # The flags of CMakeLists.txt, for the one architecture whose budget matters.
  if ! nvcc -std=c++20 -O3 -fmad=false -I. -arch=sm_90 -DABN_BUILD=on_cuda -Xptxas -v -cubin \
    -o /dev/null "cuda/$variant.cu" 2>"$said"; then
    cat "$said" >&2
    return 1
  fi
  # ptxas says the name of a kernel, then its stack and spills, then its registers and shared
  # memory.
  demangle <"$said" | awk -v variant="$variant" '
    /Compiling entry function/ {
      name = $0
      sub(/.*entry function ./, "", name); sub(/. for .sm_[0-9a-z]+.*/, "", name)
      sub(/^void /, "", name); sub(/\(abn::device::on_cuda::.*/, "", name)
      gsub(/abn::device::on_cuda::|\(int\)/, "", name)
    }
    /bytes spill stores/ {
      for (i = 2; i <= NF; ++i) if ($i == "bytes" && $(i + 1) == "spill") spills += $(i - 1)
    }
    /Used [0-9]+ registers/ {
      registers = $0; sub(/.*Used /, "", registers); sub(/ .*/, "", registers)
      shared = 0
      if ($0 ~ /bytes smem/) {
        shared = $0
        sub(/ bytes smem.*/, "", shared); sub(/.* /, "", shared)
      }
      printf "%-10s %4d registers %5d bytes spilled %6d bytes shared  %s\n",
        variant, registers, spills, shared, name
      spills = 0
    }' >"$2/$variant"
}
export -f demangle resources_of

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if ! printf '%s\n' "${variants[@]}" |
  xargs -P "$(nproc)" -I '{}' bash -c 'resources_of "$1" "$2"' _ '{}' "$scratch"; then
  exit 2
fi
rm -f "$scratch"/*.log
log=$scratch/all
(cd "$scratch" && cat "${variants[@]}") >"$log"
sort "$log"
count=$(wc -l <"$log")
if [ "$count" -eq 0 ]; then
  echo "ptxas reported no kernel; its messages have changed, mend ci/kernel_resources.sh." >&2
  exit 2
fi
spilling=$(awk '$4 > 0' "$log" | wc -l)
if [ "$spilling" -gt 0 ]; then
  echo "$spilling of $count kernels spill; lower their bundle or their number of resident blocks."
  exit 1
fi
most=$(awk '{ if ($2 > most) most = $2 } END { print most }' "$log")
echo "$count kernels, none spills, at most $most registers."
