#!/usr/bin/env bash
# tests/outside, a project of its own, gets a verdict on its kernel in each of the three ways in
# which it can know abn-verify: by a path to kernel.cmake, as an installed package, as a
# subdirectory.
#   outside.sh SOURCE_FOLDER BUILD_FOLDER                 what is built there is installed and used
#   outside.sh SOURCE_FOLDER BUILD_FOLDER --everything    the subdirectory builds its own abn-verify
#                                                         too, which takes minutes, and uses that
set -euo pipefail
source=$1 build=$2 everything=${3:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
launcher=$(sed -n 's/^ABN_CCACHE:FILEPATH=//p' "$build/CMakeCache.txt")
compiler=$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' "$build/CMakeCache.txt")
case $launcher in *-NOTFOUND) launcher= ;; esac

# quietly WHAT COMMAND...: what the command prints is of interest only when it fails.
quietly() {
  local what=$1
  shift
  "$@" >"$work/log" 2>&1 || { cat "$work/log"; echo "$what failed; its output is above."; exit 1; }
}
configure() {
  local way=$1
  shift
  quietly "Configuring tests/outside, way $way," cmake -S "$source/tests/outside" -B "$work/$way" \
    -G Ninja -DWAY="$way" -DCMAKE_CXX_COMPILER="$compiler" \
    -DCMAKE_CXX_COMPILER_LAUNCHER="$launcher" "$@"
}
# judge WAY PROGRAM PLUGIN: a kernel that is right passes, with its accesses seen as well.
judge() {
  quietly "The verdict, way $1," "$2" run outside --plugin "$3" --only-plugins --seed 1 \
    --device emulator --sanitize --quiet
  echo "$1: $(tail -n 1 "$work/log")"
}

judge include "$build/bin/abn-verify" "$build/bin/plugins/outside.so"

# Installed, and then moved: a package must not know where it was.
quietly "Installing" cmake --install "$build" --prefix "$work/elsewhere"
mv "$work/elsewhere" "$work/prefix"
if grep -rlF -e "$source/" -e "$work/elsewhere" "$work/prefix" --include='*.cmake'; then
  echo "The files above name folders of the build; write paths with PACKAGE_PREFIX_DIR."
  exit 1
fi
declared=$(sed -n 's/^project(abn-verify VERSION \([0-9.]*\).*/\1/p' "$source/CMakeLists.txt")
version=$("$work/prefix/bin/abn-verify" --version)
case $version in
  "abn-verify $declared "*) ;;
  *)
    echo "The program calls itself '$version', CMakeLists.txt has $declared; build again."
    exit 1
    ;;
esac
configure package -DCMAKE_PREFIX_PATH="$work/prefix"
quietly "Building, way package," cmake --build "$work/package"
quietly "ctest, way package," ctest --test-dir "$work/package" --output-on-failure --no-tests=error
judge package "$work/prefix/bin/abn-verify" "$work/package/outside.so"

configure subdirectory -DABN_VERIFY="$source" -DABN_CUDA=OFF
if [ "$everything" = --everything ]; then
  quietly "Building, way subdirectory," cmake --build "$work/subdirectory"
  quietly "ctest, way subdirectory," \
    ctest --test-dir "$work/subdirectory" --output-on-failure --no-tests=error
  judge subdirectory "$work/subdirectory/abn-verify/bin/abn-verify" "$work/subdirectory/outside.so"
else
  quietly "Building, way subdirectory," \
    cmake --build "$work/subdirectory" --target outside outside_sanitized
  judge subdirectory "$build/bin/abn-verify" "$work/subdirectory/outside.so"
fi
