#!/usr/bin/env python3
"""Finds lines of more than 100 characters in sources, scripts and build files.

    columns.py [SOURCE_FOLDER]     exit code 1 where one is too long, 77 without git
    columns.py --self-test         a long line that must be found, and one that must not
"""
import os
import re
import subprocess
import sys
import tempfile

LIMIT = 100
CHECKED = re.compile(r".*\.(hpp|cpp|cu|cuh|h|py|sh|cmake|in|toml)$|(.*/)?CMakeLists\.txt$"
                     r"|\.ci/run$|\.clang-(format|tidy)$")


def long_lines(path):
    """[(line number, characters)] of the lines that are too long; bytes are not characters."""
    with open(path, encoding="utf-8") as file:
        lengths = ((number, len(line.rstrip("\n"))) for number, line in enumerate(file, 1))
        return [(number, length) for number, length in lengths if length > LIMIT]


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "planted.cpp")
        with open(path, "w", encoding="utf-8") as file:
            file.write("x" * LIMIT + "\n" + "\u00b2" * LIMIT + "\n" + "x" * (LIMIT + 1) + "\n")
        found = long_lines(path)
    if found != [(3, LIMIT + 1)] or not CHECKED.match("ci/a.sh") or CHECKED.match("README.md"):
        print(f"The planted long line was not found alone but {found}; mend {sys.argv[0]}.")
        return 1
    print("The planted long line was found.")
    return 0


def main(arguments):
    if "--self-test" in arguments:
        return self_test()
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    root = arguments[0] if arguments else here
    try:
        listed = subprocess.run(["git", "-C", root, "ls-files"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        print("Skipped: git lists no files here; run this in a clone.")
        return 77
    checked, wrong = 0, 0
    for name in listed.stdout.decode().splitlines():
        path = os.path.join(root, name)
        if not CHECKED.match(name) or not os.path.isfile(path):
            continue
        checked += 1
        for number, length in long_lines(path):
            print(f"{name}:{number}: {length} characters")
            wrong += 1
    if wrong:
        print(f"{wrong} lines have more than {LIMIT} characters; wrap them.")
    else:
        print(f"{checked} files, no line has more than {LIMIT} characters.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
