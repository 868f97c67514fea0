#!/usr/bin/env bash
# What runs on a GPU runner, in stages of under 8 minutes that each write a record:
#
#   doctor      the GPU, the driver, the build
#   VARIANT     the full tier of a variant, every output against the bound and bit for bit against
#               the emulator
#   memcheck    compute-sanitizer on the smoke tier of every variant: accesses out of bounds or
#               misaligned
#   racecheck   the same for races in shared memory
#   ctest       the tests that need a GPU
#   bench       times of variants beside the pace of the memory, on the layers of ResNet-50
#   table       the same on all layers, odd sizes and one tensor of more than 2^31 elements; what
#               the limit cuts off is left out
#   peers       the same beside eager PyTorch, with cuDNN and without
#   compiled    beside torch.compile, in bf16 alone, as every problem is compiled anew
#   plan        what auto chose, predicted beside measured
#   report      all records as pages
#
#   gpu.sh [--out DIR] [--untimed "VARIANT..."] [STAGE...]       default: all stages, in this order
#
# Timed is every variant but those that --untimed names; by default naive, which would take most of
# the time and is no production kernel, and iabn2.
#
# Needs a driver and build/bin (or a copy of it, in which this script lies too); memcheck and
# racecheck also need compute-sanitizer, peers and compiled python3 with PyTorch 2. No network, no
# package manager. ABN_STAGE_SECONDS is the limit of a stage (480).
# Exit code: 0 all stages passed, 1 a stage failed or was skipped, 2 the setup is wrong.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ -x "$here/abn-verify" ]; then bin=$here; else bin=$here/../build/bin; fi
if [ ! -x "$bin/abn-verify" ]; then
  echo "There is no abn-verify in $bin; build it with ci/test.sh or cmake --preset hopper," \
    "or copy build/bin here." >&2
  exit 2
fi
out=$here/../fixtures/records
[ -d "$out" ] || out=$PWD/records
untimed="naive iabn2"
while [[ ${1:-} == --* ]]; do
  case $1 in
    --out | --untimed)
      if [ $# -lt 2 ]; then
        echo "$1 needs a value; write for example gpu.sh --out records" >&2
        exit 2
      fi
      if [ "$1" = --out ]; then out=$2; else untimed=$2; fi
      shift 2
      ;;
    *)
      echo "There is no option $1; use --out DIR or --untimed \"VARIANT...\"" >&2
      exit 2
      ;;
  esac
done
bin=$(cd "$bin" && pwd)
limit=${ABN_STAGE_SECONDS:-480}
# cpu is host code: nothing of it is on a GPU.
mapfile -t variants < <("$bin/abn-verify" list --names | grep -vx cpu)
known=(doctor "${variants[@]}" memcheck racecheck ctest bench peers compiled plan table report)
stages=("$@")
[ ${#stages[@]} -gt 0 ] || stages=("${known[@]}")
for stage in "${stages[@]}"; do
  case " ${known[*]} " in
    *" $stage "*) ;;
    *)
      echo "There is no stage $stage; name some of: ${known[*]}" >&2
      exit 2
      ;;
  esac
done
for name in $untimed; do
  case " ${variants[*]} " in
    *" $name "*) ;;
    *)
      echo "There is no variant $name to leave out; name some of: ${variants[*]}" >&2
      exit 2
      ;;
  esac
done
timed=
for variant in "${variants[@]}"; do
  case " $untimed " in *" $variant "*) ;; *) timed+="${timed:+|}$variant" ;; esac
done

mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 2

# Where no GPU can be used every stage would fail, one after the other.
if ! "$bin/abn-verify" doctor --require-gpu >"$out/doctor.txt" 2>&1; then
  cat "$out/doctor.txt"
  echo "No GPU can be used here, so no stage was run; abn-verify doctor says why." >&2
  exit 1
fi

# sanitise TOOL: every error that it finds ends in exit code 99, and so does a run that could not be
# watched.
sanitise() {
  local tool=$1 code=0 variant
  if ! command -v compute-sanitizer >/dev/null; then
    echo "compute-sanitizer is not on PATH; it comes with the CUDA toolkit." >&2
    return 1
  fi
  : >"$out/$tool.txt"
  for variant in "${variants[@]}"; do
    echo "-- $variant" | tee -a "$out/$tool.txt"
    timeout "$limit" compute-sanitizer --tool "$tool" --target-processes all --error-exitcode 99 \
      "$bin/abn-verify" run "$variant/*" --device cuda:0 --tier smoke --threads 1 --quiet 2>&1 |
      tee -a "$out/$tool.txt"
    [ "${PIPESTATUS[0]}" -eq 0 ] || code=1
  done
  # Without this line nothing was watched, whatever the exit codes say.
  local watched
  watched=$(grep -cE '(ERROR|RACECHECK) SUMMARY: ' "$out/$tool.txt")
  if [ "$watched" -lt ${#variants[@]} ]; then
    echo "$tool watched $watched of ${#variants[@]} variants; its output is $out/$tool.txt." >&2
    return 1
  fi
  return $code
}

# times NAME ARGUMENT...: the timed variants, side by side in one record.
times() {
  local name=$1
  shift
  if [ -z "$timed" ]; then
    echo "No variant is left to be timed; name fewer with --untimed." >&2
    return 1
  fi
  timeout "$limit" "$bin/abn-verify" bench "@($timed)" --device cuda:0 --out "$out/$name.json" \
    "$@" | tee "$out/$name.txt"
}

# peers NAME ARGUMENT...: PyTorch beside the kernels of this build.
peers() {
  local name=$1
  shift
  timeout "$limit" python3 "$here/bench_peers.py" --library "$bin/libabn_kernels.so" \
    --out "$out/$name.json" "$@" | tee "$out/$name.txt"
}

# The records that there are, of which a page can be made.
records() { find "$out" -maxdepth 1 -name '*.json' ! -name results.json | sort; }

run_stage() {
  case $1 in
    doctor) timeout "$limit" "$bin/abn-verify" doctor --require-gpu | tee "$out/doctor.txt" ;;
    memcheck | racecheck) sanitise "$1" ;;
    ctest)
      # A skip is a failure here: ctest itself would call a run in which everything was skipped a
      # success.
      (cd "$bin" && timeout "$limit" ctest -L gpu --no-tests=error --output-on-failure \
        --output-junit "$out/ctest.xml") | tee "$out/ctest.txt"
      [ "${PIPESTATUS[0]}" -eq 0 ] && ! grep -q 'Skipped' "$out/ctest.txt"
      ;;
    bench) times speed --shapes resnet50 ;;
    table) times table --shapes all --seconds 0.05 ;;
    peers) peers peers --peers cudnn,native ;;
    compiled)
      local problems=() problem
      while read -r problem; do
        problems+=(--problem "$problem")
      done < <("$bin/abn-verify" bench --list --shapes resnet50 | grep ',bf16,')
      peers compiled --peers compiled "${problems[@]}"
      ;;
    plan)
      if [ ! -f "$out/speed.json" ]; then
        echo "There are no times in $out; run the stage bench first." >&2
        return 1
      fi
      "$bin/abn-verify" plan --measured "$out/speed.json" --out "$out/plan.json" >"$out/plan.txt" &&
        tail -n 8 "$out/plan.txt"
      ;;
    report)
      local files
      mapfile -t files < <(records)
      if [ ${#files[@]} -eq 0 ]; then
        echo "There are no records in $out; run other stages first." >&2
        return 1
      fi
      # What failed has failed a stage of its own.
      "$bin/abn-verify" report "${files[@]}" --out "$out/report" || [ $? -ne 2 ]
      ;;
    *)
      timeout "$limit" "$bin/abn-verify" run "$1/*" --device cuda:0 --tier full --quiet \
        --out "$out/$1.json"
      ;;
  esac
}

failed=()
for stage in "${stages[@]}"; do
  echo "== $stage"
  begin=$SECONDS
  run_stage "$stage"
  code=$?
  echo "== $stage: exit code $code after $((SECONDS - begin)) s"
  [ $code -eq 0 ] || failed+=("$stage")
done

if [ ${#failed[@]} -gt 0 ]; then
  echo "Failed or skipped: ${failed[*]}. The records are in $out;" \
    "run one stage again with: gpu.sh ${failed[0]}"
  exit 1
fi
echo "All ${#stages[@]} stages passed. The records are in $out."
