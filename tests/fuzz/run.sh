#!/usr/bin/env bash
# Runs fuzz targets, each for some seconds from its corpus, and prints a table of what they did.
#   run.sh FOLDER_OF_THE_BUILD [TARGET]...      all targets by default
# ABN_FUZZ_SECONDS: seconds a target, 8 by default; ABN_FUZZ_SEED: of the mutations, 1 by default.
# What is found lies in FOLDER/found/TARGET, and a crash in FOLDER/crash-TARGET-*.
# Exit code: 0 no crash, 1 a crash, 2 a target is missing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=$(cd "$1" && pwd)
shift
if [ $# -eq 0 ]; then
  for source in "$here"/*.cpp; do set -- "$@" "$(basename "$source" .cpp)"; done
fi
seconds=${ABN_FUZZ_SECONDS:-8}

# number_behind WORD: of the last line of the log that has one.
number_behind() { grep -oE "$1 *[0-9]+" "$log" | tail -n 1 | grep -oE '[0-9]+$' || echo 0; }

outcome=0
printf '%-12s %12s %10s %8s %8s %8s\n' target executions seconds cov ft crashes
for target in "$@"; do
  if [ ! -x "$folder/$target" ]; then
    echo "There is no target $target in $folder; build it with ci/fuzz.sh." >&2
    exit 2
  fi
  mkdir -p "$folder/found/$target"
  log=$folder/$target.log
  dictionary=$here/dict/$target.dict
  case $target in results | study) dictionary=$here/dict/json.dict ;; esac
  words=()
  [ ! -f "$dictionary" ] || words=(-dict="$dictionary")
  rm -f "$folder/crash-$target-"*
  crashes=0
  begin=$(date +%s)
  # Leaks count; no input may take ten seconds or two gigabytes.
  "$folder/$target" -max_total_time="$seconds" -seed="${ABN_FUZZ_SEED:-1}" -timeout=10 \
    -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 "${words[@]}" \
    -artifact_prefix="$folder/crash-$target-" "$folder/found/$target" "$here/corpus/$target" \
    >"$log" 2>&1 || crashes=1
  printf '%-12s %12s %10s %8s %8s %8s\n' "$target" \
    "$(number_behind 'stat::number_of_executed_units:')" $(($(date +%s) - begin)) \
    "$(number_behind 'cov:')" "$(number_behind 'ft:')" $crashes
  if [ $crashes -ne 0 ]; then
    outcome=1
    grep -E 'ERROR|SUMMARY|broken promise|what\(\)|runtime error|Test unit' "$log" | head -n 8
  fi
done
exit $outcome
