#!/usr/bin/env bash
# ci/gpu.sh with programs that only pretend: every way in which a stage can fail has to end in exit
# code 1, and in 0 only if all passed.
#   gpu_script.sh SOURCE_FOLDER
set -uo pipefail
script=$1/ci/gpu.sh
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
mkdir -p "$work/bin" "$work/path"
cp "$script" "$work/bin/gpu.sh"
touch "$work/bin/bench_peers.py"
bad=0

# pretend NAME FOLDER BODY: a program that does that.
pretend() {
  printf '#!/usr/bin/env bash\n%s\n' "$3" >"$2/$1"
  chmod +x "$2/$1"
}
everything_works() {
  pretend abn-verify "$work/bin" 'case $1 in
    list) printf "iabn2\nnaive\none\ntwo\n" ;;
    bench | plan | run)
      echo "$1 $2"
      while [ $# -gt 0 ]; do if [ "$1" = --out ]; then echo "{}" >"$2"; fi; shift; done
      ;;
  esac'
  pretend compute-sanitizer "$work/path" 'echo "========= ERROR SUMMARY: 0 errors"'
  pretend python3 "$work/path" 'echo "peers"'
  pretend ctest "$work/path" 'echo "100% tests passed"'
}
# expect CODE WHAT STAGE...: what the script has to end with.
expect() {
  local wanted=$1 what=$2 got
  shift 2
  PATH=$work/path:$PATH "$work/bin/gpu.sh" --out "$work/out" "$@" >"$work/log" 2>&1
  got=$?
  if [ $got -ne "$wanted" ]; then
    echo "$what: exit code $got and not $wanted"
    sed 's/^/  /' "$work/log"
    bad=1
  fi
}

everything_works
expect 0 "everything works"
expect 2 "a stage that does not exist" three
# says WHAT TEXT STAGE...: what the script has to print on the way to exit code 0.
says() {
  local what=$1 text=$2
  shift 2
  expect 0 "$what" "$@"
  if ! grep -qF "$text" "$work/log"; then
    echo "$what: \"$text\" was not printed"
    sed 's/^/  /' "$work/log"
    bad=1
  fi
}
says "what is timed" "bench @(one|two)" bench
says "what is timed with more left out" "bench @(naive|two)" --untimed "iabn2 one" bench
says "everything is timed" "bench @(iabn2|naive|one|two)" --untimed "" table
expect 1 "nothing to time" --untimed "iabn2 naive one two" bench
expect 2 "an unknown variant left out" --untimed three bench
expect 2 "an unknown option" --time one bench
pretend compute-sanitizer "$work/path" 'echo "========= Error: no device"; exit 0'
expect 1 "a sanitizer that watched nothing" memcheck
pretend compute-sanitizer "$work/path" 'echo "========= ERROR SUMMARY: 1 error"; exit 99'
expect 1 "a sanitizer that found an error" racecheck
pretend compute-sanitizer "$work/path" 'echo "========= RACECHECK SUMMARY: 0 hazards"
  case "$*" in *two*) exit 1 ;; esac'
expect 1 "a run that fails under the sanitizer" racecheck
everything_works
for stage in doctor one bench; do
  pretend abn-verify "$work/bin" 'case $1 in
    list) printf "iabn2\nnaive\none\n" ;;
    *) exit 77 ;;
  esac'
  expect 1 "nothing could run in $stage" "$stage"
done
everything_works
pretend python3 "$work/path" 'exit 77'
expect 1 "no PyTorch" peers
expect 1 "no PyTorch for compiled" compiled
pretend ctest "$work/path" 'echo "1 - gpu.one (Skipped)"'
expect 1 "a test that was skipped" ctest
everything_works
rm -rf "$work/out"
expect 1 "a plan without times" plan
expect 1 "a report without records" report
[ $bad -eq 0 ] && echo "gpu.sh fails where it has to."
exit $bad
