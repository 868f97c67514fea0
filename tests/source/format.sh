#!/usr/bin/env bash
# Every C++ and CUDA file is as clang-format leaves it, by version 14: others break lines elsewhere.
#   format.sh SOURCE_FOLDER          exit code 1 where a file differs, 77 without that version
#   format.sh SOURCE_FOLDER --fix    formats them
set -euo pipefail
cd "$1"
. tests/source/llvm.sh
llvm clang-format
mapfile -t files < <(sources)
if [ "${2:-}" = --fix ]; then
  exec "$tool" -i "${files[@]}"
fi
printf '%s\0' "${files[@]}" | xargs -0 -n 40 -P "$(nproc)" "$tool" --dry-run -Werror 2>"$log" || {
  grep -E 'error:' "$log" | cut -d: -f1 | sort | uniq -c
  echo "These files differ; format them with: tests/source/format.sh . --fix"
  exit 1
}
# The check itself must be able to fail.
if printf 'int  x ;\n' | "$tool" --dry-run -Werror 2>/dev/null; then
  echo "A badly formatted line was not found; see why $tool --dry-run -Werror passes it."
  exit 1
fi
echo "${#files[@]} files are formatted."
