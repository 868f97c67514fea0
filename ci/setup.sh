# Sourced by the scripts beside it: finds the repository, installs what is missing, configures and
# builds. Works on a fresh Debian 12; elsewhere the same libraries have to be there, and CMake names
# the one that is not.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${ABN_BUILD_DIR:-$root/build}
jobs=$(nproc)
if ! mkdir -p "$build"; then
  echo "The build folder $build cannot be made; set ABN_BUILD_DIR to one that can." >&2
  exit 2
fi
log=$build/build.log

say() { printf '%s\n' "$*"; }

# missing_of PACKAGE...: sets missing to the Debian packages that are not installed.
missing_of() {
  local package
  missing=()
  command -v dpkg-query >/dev/null || return 0
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
      missing+=("$package")
  done
}

# install PACKAGE...
install() {
  say "Installing $*"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# need PACKAGE...: installs the Debian packages that are missing, or prints the one line that does.
need() {
  missing_of "$@"
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ]; then
    say "These packages are missing; install them, then run this script again:"
    say "  sudo apt-get install --no-install-recommends ${missing[*]}"
    exit 2
  fi
  install "${missing[@]}"
}

# want PACKAGE...: the same for packages without which some checks are skipped, each with a reason.
want() {
  missing_of "$@"
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" = 0 ] && install "${missing[@]}"; then return 0; fi
  say "Without these packages some checks of the sources are skipped: ${missing[*]}"
}

build_packages=(g++ cmake ninja-build ccache git libeigen3-dev libboost-dev libboost-context-dev
  libfmt-dev nlohmann-json3-dev libcli11-dev)
test_packages=(libgtest-dev librapidcheck-dev)
report_packages=(gnuplot-nox)
python_packages=(python3-dev python3-venv python3-numpy)
# Tests of the package that are skipped without them.
framework_packages=(python3-torch python3-pytest)
source_packages=(clang-format-14 clang-tidy-14 python3)

# A GPU counts as present when the driver's device node is there.
have_gpu() { [ -e /dev/nvidia0 ] || [ -e /dev/dxg ]; }

have_nvcc() { command -v nvcc >/dev/null; }

# configure ON|OFF [CMAKE ARGUMENT]...: CUDA on or off, in the one build folder that both commands
# use.
configure() {
  local cuda=$1
  shift
  if [ "$cuda" = OFF ]; then
    say "CPU-only build: $no_cuda_reason; kernels run on the emulator."
  fi
  if ! cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DABN_WERROR=ON \
    -DABN_CUDA="$cuda" "$@" >"$log" 2>&1; then
    cat "$log" >&2
    exit 2
  fi
  grep -E '^-- (CUDA|CPU-only)' "$log" || true
}

# find_python: sets python_options to what builds the Python package: Debian's Python in a virtual
# environment of the build folder, with nanobind from PyPI. Empty where one of them cannot be had.
find_python() {
  python_options=()
  local venv=$build/venv
  missing_of "${python_packages[@]}"
  if [ ${#missing[@]} -eq 0 ]; then
    [ -x "$venv/bin/python" ] || /usr/bin/python3 -m venv --system-site-packages "$venv" || true
    "$venv/bin/python" -c 'import nanobind' 2>/dev/null ||
      "$venv/bin/python" -m pip install -q nanobind >/dev/null 2>&1 || true
    if "$venv/bin/python" -c 'import nanobind' 2>/dev/null; then
      python_options=(-DABN_PYTHON=ON "-DPython_EXECUTABLE=$venv/bin/python")
      return 0
    fi
  fi
  say "The Python package is neither built nor tested: it needs ${python_packages[*]}," \
    "and nanobind from PyPI."
}

# make_targets TARGET...: builds, quietly unless it fails.
make_targets() {
  say "Building $* with $jobs jobs"
  if ! cmake --build "$build" -j "$jobs" --target "$@" >"$log" 2>&1; then
    tail -n 60 "$log" >&2
    exit 2
  fi
}
