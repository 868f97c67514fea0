#!/usr/bin/env python3
"""Breaks the judge on purpose, statement by statement, and tells which breaks no test notices.

Every statement of the bounds that adds a term is left out, and every one of LINES is replaced, one
at a time; the tests of bounds and comparison then have to fail. A break that survives is a hole in
the tests, or a statement that does nothing. The breaks of the bounds are all built at once, each
behind a switch that an environment variable turns; the others are built one by one. Takes some ten
minutes, and needs clang-format: in the copy that is broken a statement is a line, however long.

    ci/mutate_judge.py [--only TEXT] [--work FOLDER] [--list]
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BOUNDS = ["verify/bound/bound.cpp", "verify/bound/forward.hpp", "verify/bound/recovery.hpp",
          "verify/bound/backward.hpp"]
CONDITION = r"if (?:constexpr )?\([^;]*\) "
ADDS_TERM = re.compile(
    rf"^\s+(?!for|return|const)(?:{CONDITION})?\w[\w.]*(?:\[[\w:]*Term::\w+\]|\.\w+)? \+= [^;]*;"
    r"\s*(?://.*)?$"
    rf"|^\s+(?:{CONDITION})?\w[\w.]*\.add\(.*\);\s*$")
BACKWARD, COMPARE = "verify/bound/backward.hpp", "verify/compare/compare.cpp"
TRIVIAL = "verify/compare/trivial_outputs.cpp"
LINES = [  # file, text, replacement
    (BACKWARD, "closed.constant = rounding * (s0_roundings + a.count_roundings) * s0 +",
     "closed.constant ="),
    (BACKWARD, "* s0 + a.eta * (2 + 2 * scale + 2 * r_grown);", "* s0;"),
    (BACKWARD, "closed.per_xhat = rounding * (s1_roundings + a.count_roundings) * s1 +",
     "closed.per_xhat ="),
    (BACKWARD, "* s1 + a.eta * (1 + r_grown + std::fabs(c.g) + scale);", "* s1;"),
    (BACKWARD, "closed.per_dy = rounding * dy_roundings;", "closed.per_dy = 0;"),
    (COMPARE, "result.passed = error <= point.bound;", "result.passed = !(error > point.bound);"),
    (COMPARE, "result.passed = error <= point.bound;", "result.passed = error <= 2 * point.bound;"),
    (COMPARE, "result.passed = error <= point.bound;", "result.passed = error < point.bound;"),
    (COMPARE, "if (std::isnan(got)) return fail_class(\"NaN where a number is expected\");", ""),
    (COMPARE, "result.error = (got - point.hi) - point.lo;", "result.error = got - point.hi;"),
    (COMPARE, "got > 0 ? point.hi + point.bound >= threshold", "got > 0 ? true"),
    (COMPARE, ": point.hi - point.bound <= -threshold;", ": true;"),
    (COMPARE, "if (magnitude - point.bound > threshold) return", "if (false) return"),
    (COMPARE, "if (point.rule == Rule::signed_bounded && got == 0 &&", "if (false && got == 0 &&"),
    (COMPARE, "if (!(error >= 0) || !(bound >= 0)) return infinity;",
     "if (error < 0 || bound < 0) return infinity;"),
    (COMPARE, "return bound > 0 ? error / bound : infinity;",
     "return bound > 0 ? error / bound : 0;"),
    (COMPARE, "return std::isfinite(got) ? pass_class()", "return true ? pass_class()"),
    (COMPARE, "return std::isfinite(got) ? fail_class(", "return false ? fail_class("),
    (COMPARE, "if (std::isnan(point.hi)) return std::isnan(got) ? pass_class()",
     "if (std::isnan(point.hi)) return true ? pass_class()"),
    (COMPARE, "return got == point.hi ? pass_class()", "return std::isinf(got) ? pass_class()"),
    (COMPARE, "if (!comparison.passed) ++tally.failed;", ""),
    (COMPARE, "tally.max_ratio = std::max(tally.max_ratio, comparison.ratio);", ""),
    (COMPARE, "tally.max_fit_ratio = std::max(tally.max_fit_ratio, comparison.fit_ratio);", ""),
    (COMPARE, "failed += other.failed;", ""),
    (COMPARE, "if (a.passed != b.passed) return !a.passed;", ""),
    (COMPARE, "(std::fabs(point.hi) - point.bound <= scale.threshold) &", ""),
    (COMPARE, "& (size <= point.bound);", "& (size <= 2 * point.bound);"),
    (COMPARE, "(point.bound > 0) & (point.bound <= largest)", "(point.bound > 0)"),
    (COMPARE, "& (point.fit_bound > 0);", ";"),
    (COMPARE, "&& got[i] != 0);", ");"),
    (COMPARE, "if (ratio < tally.max_ratio) continue;", "if (ratio <= tally.max_ratio) continue;"),
    (COMPARE, "tally.max_fit_ratio = std::max(tally.max_fit_ratio, of.fit_ratio[i]);", ""),
    (COMPARE, "out.error[i] = error;", "out.error[i] = size;"),
    (TRIVIAL, "if (!caught([](std::size_t) { return 0.0; })) return false;", ""),
    (TRIVIAL, "if (!caught([&](std::size_t) { return constant; })) return false;", ""),
    (TRIVIAL, "return std::all_of(trivial.begin(), trivial.end(), caught);", "return true;"),
]
# The suites that judge the judge; the others would only take time.
FILTER = "verify_bound*:Compar*:Tallies*:verify_oracle*:NullBattery*:Verdicts*"


def one_line_style():
    """The project's style but for the length of lines, and with what a loop repeats on its own."""
    with open(os.path.join(ROOT, ".clang-format"), encoding="utf-8") as file:
        rows = [line.strip() for line in file if re.match(r"\w+: ", line)]
    rows = [row for row in rows if not row.startswith(("ColumnLimit", "AllowShortFunctions"))]
    return "{" + ", ".join(rows + [
        "ColumnLimit: 100000", "SortIncludes: Never", "AllowShortFunctionsOnASingleLine: None",
        "AllowShortLoopsOnASingleLine: false", "AllowShortLambdasOnASingleLine: Inline"]) + "}"


def statements(path):
    """The lines of a file with every statement on a line of its own."""
    tool = shutil.which("clang-format-14") or shutil.which("clang-format")
    if tool is None:
        sys.exit("clang-format is not on PATH; install it, on Debian with: "
                 "apt-get install clang-format-14")
    name = os.path.join(ROOT, path)
    made = subprocess.run([tool, f"--style={one_line_style()}", name], check=True,
                          capture_output=True, text=True)
    return made.stdout.split("\n")


def original_lines(path, lines):
    """The number in the file itself of every one of its statements(): formatting moves white space
    and nothing else."""
    starts, count = [], 0  # characters that are not white space before each line of the file
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        for line in file:
            starts.append(count)
            count += len("".join(line.split()))
    numbers, at, count = [], 0, 0
    for line in lines:
        while at + 1 < len(starts) and starts[at + 1] <= count:
            at += 1
        numbers.append(at + 1)
        count += len("".join(line.split()))
    return numbers


class Break:
    """One statement that is left out, or a part of it that is replaced."""

    def __init__(self, path, index, number, text, replacement):
        self.path, self.index, self.number = path, index, number
        self.text, self.replacement = text, replacement

    def __str__(self):
        becomes = "" if self.replacement is None else f"  ->  {self.replacement}"
        return f"{self.path}:{self.number}  {self.text}{becomes}"


def all_breaks(files, only):
    """All of them whose file or text holds `only`; files: {path: its statements}."""
    numbers = {path: original_lines(path, lines) for path, lines in files.items()}
    breaks = []
    for path in BOUNDS:
        for index, line in enumerate(files[path]):
            if ADDS_TERM.match(line):
                breaks.append(Break(path, index, numbers[path][index], line.strip(), None))
    for path, text, replacement in LINES:
        at = [i for i, line in enumerate(files[path]) if text in line]
        if len(at) != 1:
            sys.exit(f"{path} has {len(at)} lines with \"{text}\"; bring the list in "
                     "ci/mutate_judge.py up to date.")
        breaks.append(Break(path, at[0], numbers[path][at[0]], text, replacement))
    return [one for one in breaks if only in f"{one.path} {one.text}"]


SWITCH = """
#include <cstdlib>
namespace abn::verify {
inline const int broken_line =
    std::getenv("ABN_BROKEN") != nullptr ? std::atoi(std::getenv("ABN_BROKEN")) : -1;
}
"""


def switched(line, number, text, replacement):
    """The line with its break behind the switch: `if (condition) statement;` keeps its condition
    outside, so that an else still fits."""
    broken = f"::abn::verify::broken_line {'!=' if replacement is None else '=='} {number}"
    if replacement is not None:
        return f"if ({broken}) {{ {line.replace(text, replacement)} }} else {{ {line} }}"
    condition = re.match(rf"^(\s+{CONDITION.replace('[^;]*', '.*')})"
                         r"(\w[\w.]*(?:\[[\w:]*Term|\.add|\.\w+ \+=| \+=).*)$", line)
    if condition:
        return f"{condition.group(1)}{{ if ({broken}) {condition.group(2).split('//')[0]} }}"
    return f"if ({broken}) {line}"


def copy_tree(source):
    """The tracked files as they are now, all dated now, so that a kept build notices."""
    if os.path.exists(source):
        shutil.rmtree(source)
    tracked = subprocess.run(["git", "-C", ROOT, "ls-files"], check=True, capture_output=True,
                             text=True).stdout.split("\n")
    for name in filter(None, tracked):
        if os.path.isfile(os.path.join(ROOT, name)):
            os.makedirs(os.path.dirname(os.path.join(source, name)), exist_ok=True)
            shutil.copy(os.path.join(ROOT, name), os.path.join(source, name))


def write_lines(path, lines):
    with open(path, "w", encoding="utf-8") as out:
        out.write("\n".join(lines))


class Build:
    """A build of the broken copy."""

    def __init__(self, work):
        self.source, self.folder = os.path.join(work, "source"), os.path.join(work, "build")

    def configure(self):
        made = subprocess.run(["cmake", "-S", self.source, "-B", self.folder, "-G", "Ninja",
                               "-DCMAKE_BUILD_TYPE=Release", "-DABN_CUDA=OFF"],
                              capture_output=True, text=True)
        if made.returncode != 0:
            sys.exit(f"{made.stderr}The copy cannot be configured; mend what CMake says.")

    def require_suites(self):
        """Every pattern of FILTER has to name a test, or it would be silently empty."""
        program = os.path.join(self.folder, "bin", "verify-tests")
        for pattern in FILTER.split(":"):
            listed = subprocess.run([program, f"--gtest_filter={pattern}", "--gtest_list_tests"],
                                    capture_output=True, text=True)
            if not re.search(r"^  \w", listed.stdout, re.M):
                sys.exit(f"verify-tests has no test {pattern}; bring FILTER in "
                         "ci/mutate_judge.py up to date.")

    def run_tests(self, broken):
        made = subprocess.run(["ninja", "-C", self.folder, "verify-tests"], capture_output=True,
                              text=True)
        if made.returncode != 0:
            self.message = made.stdout
            return "does not compile"
        environment = dict(os.environ, ABN_BOUND_CASES="1500", ABN_SOURCE_DIR=self.source,
                           ABN_BROKEN=str(broken))
        test = subprocess.run([os.path.join(self.folder, "bin", "verify-tests"),
                               f"--gtest_filter={FILTER}", "--gtest_fail_fast"],
                              capture_output=True, text=True, env=environment, cwd=self.source)
        self.message = test.stdout
        return "survives" if test.returncode == 0 else "noticed"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="only breaks whose file or text holds this")
    parser.add_argument("--work", default="",
                        help="build here and keep it; else in a temporary folder")
    parser.add_argument("--list", action="store_true", help="print the breaks and stop")
    arguments = parser.parse_args()
    files = {path: statements(path) for path in BOUNDS + [COMPARE, TRIVIAL]}
    breaks = all_breaks(files, arguments.only)
    if not breaks:
        sys.exit(f"No break holds \"{arguments.only}\"; --list shows all.")
    if arguments.list:
        print("\n".join(map(str, breaks)))
        return 0
    work = arguments.work or tempfile.mkdtemp(prefix="abn-mutate-")
    build = Build(work)
    copy_tree(build.source)
    for index, one in enumerate(breaks):
        if one.path in BOUNDS:
            lines = files[one.path]
            lines[one.index] = switched(lines[one.index], index, one.text, one.replacement)
    bound = os.path.join(build.source, "verify/bound/bound.hpp")
    with open(bound, encoding="utf-8") as header:
        whole = header.read()
    with open(bound, "w", encoding="utf-8") as header:
        header.write(whole.replace("#pragma once\n", "#pragma once\n" + SWITCH, 1))
    for path, lines in files.items():
        write_lines(os.path.join(build.source, path), lines)
    build.configure()
    before = build.run_tests(-1)
    if before != "survives":
        print(build.message[-4000:])
        sys.exit(f"The tests {'fail' if before == 'noticed' else 'do not compile'} before anything "
                 "is broken; mend that first.")
    build.require_suites()
    noticed, survivors = 0, []
    for index, one in enumerate(breaks):
        if one.path in BOUNDS:
            verdict = build.run_tests(index)
        else:
            file, lines = os.path.join(build.source, one.path), list(files[one.path])
            lines[one.index] = lines[one.index].replace(one.text, one.replacement)
            write_lines(file, lines)
            verdict = build.run_tests(-1)
            write_lines(file, files[one.path])
        print(f"{verdict:<18}{one}", flush=True)
        noticed += verdict == "noticed"
        if verdict == "survives":
            survivors.append(one)
    print(f"noticed {noticed} of {len(breaks)}; {len(survivors)} survive")
    if not arguments.work:
        shutil.rmtree(work)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
