#!/usr/bin/env bash
# Runs a check that is written in Python: first on what it plants itself, then on the sources.
#   python.sh SCRIPT ARGUMENT...         exit code 77 without Python 3
set -euo pipefail
if ! command -v python3 >/dev/null; then
  echo "Skipped: there is no python3; install the package python3."
  exit 77
fi
python3 "$1" --self-test
python3 "$1" "${@:2}"
