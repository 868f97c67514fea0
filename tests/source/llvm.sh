# Sourced by the scripts beside it: the LLVM tools of the version that the sources were made with,
# and the sources.
llvm_version=14
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# llvm NAME: sets tool to that program, or ends with 77, which ctest calls a skip.
llvm() {
  local name found
  for name in "$1-$llvm_version" "$1"; do
    command -v "$name" >/dev/null || continue
    tool=$name
    found=$("$name" --version | sed -n 's/.*version \([0-9]*\).*/\1/p' | head -n 1)
    [ "$found" != "$llvm_version" ] || return 0
  done
  echo "Skipped: there is no $1 $llvm_version${found:+, but $found}; install the package" \
    "$1-$llvm_version."
  exit 77
}

# Every C++ and CUDA file that git knows and that still exists.
sources() {
  local name
  git ls-files '*.hpp' '*.cpp' '*.cu' '*.cuh' '*.h' | while read -r name; do
    [ ! -f "$name" ] || echo "$name"
  done
}
