#!/usr/bin/env python3
"""Lists what the programs and libraries of a build ask of a C library newer than 2.28.

    symbols.py FOLDER...           exit code 1 where something is asked for
    symbols.py --skip REASON       exit code 77: why such a build is not meant to be portable
    symbols.py --self-test         planted programs that must be found

A binary starts on RHEL 8 and on all that came after if it asks for no version above these, and if
it brings along what is not on every machine. GLIBCXX and CXXABI are those of GCC 8, for binaries
that take libstdc++ from the machine. An undefined symbol without a version is one that the linker
did not find in 2.28, but would have found in this machine's C library; a weak one may be missing.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

NEWEST = {"GLIBC": (2, 28), "GLIBCXX": (3, 4, 25), "CXXABI": (1, 3, 11), "GCC": (7, 0, 0)}
VERSIONED = re.compile(r"\bUND +(\S+?)@+([A-Z]+)_([0-9.]+)")
BARE = re.compile(r"\bGLOBAL +\S+ +UND +([A-Za-z_]\w*)\s*$", re.M)
OTHER = re.compile(r"Name: ([A-Z]+_[A-Z][A-Z_]*)")  # GLIBC_ABI_DT_RELR and such


def read(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def is_elf(path):
    with open(path, "rb") as file:
        head = file.read(18)
    return head[:4] == b"\x7fELF" and head[16] in (2, 3)  # programs and shared objects


def binaries_below(folder):
    for where, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            path = os.path.join(where, name)
            if os.path.isfile(path) and is_elf(path):
                yield path


def libc_symbols():
    """What this machine's C library defines, in any version."""
    path = read("cc", "-print-file-name=libc.so.6").strip()
    table = read("readelf", "--dyn-syms", "-W", path)
    return set(re.findall(r" DEFAULT +\d+ (\w+)@", table))


def too_new(path, known):
    """The symbols of a binary that are above NEWEST, each as one word."""
    table = read("readelf", "--dyn-syms", "-W", path)
    found = set()
    for name, family, version in VERSIONED.findall(table):
        numbers = tuple(int(number) for number in version.split("."))
        if family in NEWEST and numbers > NEWEST[family]:
            found.add(f"{name}@{family}_{version}")
    found.update(name + " (in no version)" for name in BARE.findall(table) if name in known)
    needs = read("readelf", "-V", path).partition("Version needs section")[2]
    found.update(name for name in OTHER.findall(needs) if not name.startswith("GLIBC_PRIVATE"))
    return sorted(found)


def examine(folders):
    known = libc_symbols()
    count = bad = 0
    for folder in folders:
        for path in binaries_below(folder):
            count += 1
            found = too_new(path, known)
            if found:
                bad += 1
                print(f"{os.path.relpath(path, folder)}: {' '.join(found)}")
    if count == 0:
        print(f"There is no program in {' '.join(folders)}; build first.")
        return 1
    print(f"{bad} of {count} binaries ask for symbols newer than GLIBC_2.28 or GCC 8")
    return 1 if bad else 0


PROGRAM = """#define _GNU_SOURCE
#include <sys/stat.h>
#include <unistd.h>
struct stat status;
int main(void) { return stat("/", &status); }
"""


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "new.c")
        with open(source, "w", encoding="utf-8") as file:
            file.write(PROGRAM)
        if libc_symbols().isdisjoint({"stat", "_dl_find_object"}):
            print("Skipped: this machine's C library is so old that nothing can be planted.")
            return 0
        new = os.path.join(folder, "new")
        subprocess.run(["cc", "-o", new, source], check=True)
        found = too_new(new, set())
        assert "stat@GLIBC_2.33" in found and "__libc_start_main@GLIBC_2.34" in found, found
        # A shared object in which nothing was found: symbols in no version.
        bare = os.path.join(folder, "bare.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-nostdlib", "-o", bare, source], check=True)
        assert too_new(bare, {"stat"}) == ["stat (in no version)"], too_new(bare, {"stat"})
        assert too_new(bare, {"other"}) == []
        assert list(binaries_below(folder)) == [bare, new]
        assert examine([folder]) == 1
    print("Two planted binaries were found.")
    return 0


def main(words):
    if shutil.which("readelf") is None or shutil.which("cc") is None:
        print("Skipped: there is no readelf or no cc; install binutils and gcc.")
        return 77
    if words == ["--self-test"]:
        return self_test()
    if not words:
        print(__doc__)
        return 2
    if words[0] == "--skip":
        print(f"Skipped: this build asks for this machine's C library ({' '.join(words[1:])}).")
        return 77
    return examine(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
