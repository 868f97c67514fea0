#!/usr/bin/env python3
"""Breaks the judge on purpose, line by line, and tells which breaks no test notices.

Every line of the bounds that adds a term is left out, and every line of LINES is replaced, one at a time; the tests of bounds and
comparison then have to fail. A break that survives is a hole in the tests, or a line that does nothing. The breaks of the bounds are all
built at once, each behind a switch that an environment variable turns; the others are built one by one. Takes some ten minutes.

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
BOUNDS = ["verify/bound/bound.cpp", "verify/bound/forward.hpp", "verify/bound/recovery.hpp", "verify/bound/backward.hpp"]
ADDS_TERM = re.compile(r"^\s+(?!for|return|const)(?:if (?:constexpr )?\([^;]*\) )?\w[\w.]*(?:\[Term::\w+\]|\.\w+)? \+= [^;]*;\s*(?://.*)?$"
                       r"|^\s+(?:if (?:constexpr )?\([^;]*\) )?\w[\w.]*\.add\(.*\);\s*$")
LINES = [  # file, text, replacement
    ("verify/bound/backward.hpp", "closed.constant = rounding * (s0_roundings + a.count_roundings) * s0 +", "closed.constant ="),
    ("verify/bound/backward.hpp", "* s0 + a.eta * (2 + 2 * scale + 2 * r_grown);", "* s0;"),
    ("verify/bound/backward.hpp", "closed.per_xhat = rounding * (s1_roundings + a.count_roundings) * s1 +", "closed.per_xhat ="),
    ("verify/bound/backward.hpp", "* s1 + a.eta * (1 + r_grown + std::fabs(c.g) + scale);", "* s1;"),
    ("verify/bound/backward.hpp", "closed.per_dy = rounding * dy_roundings;", "closed.per_dy = 0;"),
    ("verify/compare/compare.cpp", "result.passed = error <= point.bound;", "result.passed = !(error > point.bound);"),
    ("verify/compare/compare.cpp", "result.passed = error <= point.bound;", "result.passed = error <= 2 * point.bound;"),
    ("verify/compare/compare.cpp", "result.passed = error <= point.bound;", "result.passed = error < point.bound;"),
    ("verify/compare/compare.cpp", "if (std::isnan(got)) return fail_class(\"NaN where a number is expected\");", ""),
    ("verify/compare/compare.cpp", "result.error = (got - point.hi) - point.lo;", "result.error = got - point.hi;"),
    ("verify/compare/compare.cpp", "got > 0 ? point.hi + point.bound >= threshold", "got > 0 ? true"),
    ("verify/compare/compare.cpp", ": point.hi - point.bound <= -threshold;", ": true;"),
    ("verify/compare/compare.cpp", "if (magnitude - point.bound > threshold) return", "if (false) return"),
    ("verify/compare/compare.cpp", "if (point.rule == Rule::signed_bounded && got == 0 &&", "if (false && got == 0 &&"),
    ("verify/compare/compare.cpp", "if (!(error >= 0) || !(bound >= 0)) return infinity;", "if (error < 0 || bound < 0) return infinity;"),
    ("verify/compare/compare.cpp", "return bound > 0 ? error / bound : infinity;", "return bound > 0 ? error / bound : 0;"),
    ("verify/compare/compare.cpp", "return std::isfinite(got) ? pass_class()", "return true ? pass_class()"),
    ("verify/compare/compare.cpp", "return std::isfinite(got) ? fail_class(", "return false ? fail_class("),
    ("verify/compare/compare.cpp", "if (std::isnan(point.hi)) return std::isnan(got) ? pass_class()", "if (std::isnan(point.hi)) return true ? pass_class()"),
    ("verify/compare/compare.cpp", "return got == point.hi ? pass_class()", "return std::isinf(got) ? pass_class()"),
    ("verify/compare/compare.cpp", "if (!comparison.passed) ++tally.failed;", ""),
    ("verify/compare/compare.cpp", "tally.max_ratio = std::max(tally.max_ratio, comparison.ratio);", ""),
    ("verify/compare/compare.cpp", "tally.max_fit_ratio = std::max(tally.max_fit_ratio, comparison.fit_ratio);", ""),
    ("verify/compare/compare.cpp", "failed += other.failed;", ""),
    ("verify/compare/compare.cpp", "if (a.passed != b.passed) return !a.passed;", ""),
    ("verify/compare/compare.cpp", "(std::fabs(point.hi) - point.bound <= scale.threshold) &", ""),
    ("verify/compare/compare.cpp", "& (size <= point.bound);", "& (size <= 2 * point.bound);"),
    ("verify/compare/compare.cpp", "(point.bound > 0) & (point.bound <= largest)", "(point.bound > 0)"),
    ("verify/compare/compare.cpp", "& (point.fit_bound > 0);", ";"),
    ("verify/compare/compare.cpp", "&& got[i] != 0);", ");"),
    ("verify/compare/compare.cpp", "if (ratio < tally.max_ratio) continue;", "if (ratio <= tally.max_ratio) continue;"),
    ("verify/compare/compare.cpp", "tally.max_fit_ratio = std::max(tally.max_fit_ratio, of.fit_ratio[i]);", ""),
    ("verify/compare/compare.cpp", "out.error[i] = error;", "out.error[i] = size;"),
    ("verify/compare/trivial_outputs.cpp", "if (!caught([](std::size_t) { return 0.0; })) return false;", ""),
    ("verify/compare/trivial_outputs.cpp", "if (!caught([&](std::size_t) { return constant; })) return false;", ""),
    ("verify/compare/trivial_outputs.cpp", "return std::all_of(trivial.begin(), trivial.end(), caught);", "return true;"),
]
# The tests that judge the judge; the others would only take time.
FILTER = "verify_bound*:Compar*:Tallies*:verify_oracle*:NullBattery*:Verdicts*"


def all_breaks():
    breaks = []
    for path in BOUNDS:
        for number, line in enumerate(open(os.path.join(ROOT, path)), 1):
            if ADDS_TERM.match(line):
                breaks.append((path, number, line.strip(), None))
    for path, text, replacement in LINES:
        lines = open(os.path.join(ROOT, path)).read().split("\n")
        at = [i for i, line in enumerate(lines, 1) if text in line]
        if len(at) != 1:
            sys.exit(f"{path} has {len(at)} lines with \"{text}\"; bring the list in ci/mutate_judge.py up to date.")
        breaks.append((path, at[0], text, replacement))
    return breaks


SWITCH = """
#include <cstdlib>
namespace abn::verify {
inline const int broken_line = std::getenv("ABN_BROKEN") != nullptr ? std::atoi(std::getenv("ABN_BROKEN")) : -1;
}
"""


def switched(line, number, text, replacement):
    """The line with its break behind the switch: `if (condition) statement;` keeps its condition outside, so that an else still fits."""
    if replacement is not None:
        return f"    if (broken_line == {number}) {{ {line.replace(text, replacement).strip()} }} else {{ {line.strip()} }}"
    condition = re.match(r"^(\s+if (?:constexpr )?\(.*\) )(\w[\w.]*(?:\[Term|\.add|\.\w+ \+=| \+=).*)$", line)
    if condition:
        return f"{condition.group(1)}{{ if (broken_line != {number}) {condition.group(2).split('//')[0]} }}"
    return f"    if (broken_line != {number}) {line.strip()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="only breaks whose file or line holds this text")
    parser.add_argument("--work", default="", help="build here and keep it; else in a temporary folder")
    parser.add_argument("--list", action="store_true", help="print the breaks and stop")
    arguments = parser.parse_args()
    breaks = [one for one in all_breaks() if arguments.only in f"{one[0]} {one[2]}"]
    if not breaks:
        sys.exit(f"No break holds \"{arguments.only}\"; --list shows all.")
    if arguments.list:
        for path, number, text, replacement in breaks:
            print(f"{path}:{number}  {text}" + ("" if replacement is None else f"  ->  {replacement}"))
        return 0
    work = arguments.work or tempfile.mkdtemp(prefix="abn-mutate-")
    source, build = os.path.join(work, "source"), os.path.join(work, "build")
    if os.path.exists(source):
        shutil.rmtree(source)
    tracked = subprocess.run(["git", "-C", ROOT, "ls-files"], check=True, capture_output=True, text=True).stdout.split("\n")
    for name in filter(None, tracked):
        if os.path.isfile(os.path.join(ROOT, name)):
            os.makedirs(os.path.dirname(os.path.join(source, name)), exist_ok=True)
            shutil.copy(os.path.join(ROOT, name), os.path.join(source, name))  # dated now, so that a kept build notices
    files = {path: open(os.path.join(source, path)).read().split("\n") for path, _, _, _ in breaks}
    for index, (path, number, text, replacement) in enumerate(breaks):
        if path in BOUNDS:
            files[path][number - 1] = switched(files[path][number - 1], index, text, replacement)
    bound = os.path.join(source, "verify/bound/bound.hpp")
    with open(bound) as header:
        whole = header.read()
    with open(bound, "w") as header:
        header.write(whole.replace("#pragma once\n", "#pragma once\n" + SWITCH, 1))
    for path, lines in files.items():
        with open(os.path.join(source, path), "w") as out:
            out.write("\n".join(lines))
    subprocess.run(["cmake", "-S", source, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DABN_CUDA=OFF"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def run_tests(broken):
        made = subprocess.run(["ninja", "-C", build, "verify-tests"], capture_output=True, text=True)
        if made.returncode != 0:
            return "does not compile"
        environment = dict(os.environ, ABN_BOUND_CASES="1500", ABN_SOURCE_DIR=source, ABN_BROKEN=str(broken))
        test = subprocess.run([os.path.join(build, "bin", "verify-tests"), f"--gtest_filter={FILTER}", "--gtest_fail_fast"],
                              capture_output=True, text=True, env=environment, cwd=source)
        return "survives" if test.returncode == 0 else "noticed"

    before = run_tests(-1)
    if before != "survives":
        sys.exit(f"The tests {'fail' if before == 'noticed' else 'do not compile'} before anything is broken; mend that first.")
    noticed, survivors = 0, []
    for index, (path, number, text, replacement) in enumerate(breaks):
        if path in BOUNDS:
            verdict = run_tests(index)
        else:
            file, whole = os.path.join(source, path), files[path]
            lines = list(whole)
            lines[number - 1] = lines[number - 1].replace(text, replacement)
            with open(file, "w") as out:
                out.write("\n".join(lines))
            verdict = run_tests(-1)
            with open(file, "w") as out:
                out.write("\n".join(whole))
        print(f"{verdict:<18}{path}:{number}  {text}" + ("" if replacement is None else f"  ->  {replacement}"), flush=True)
        noticed += verdict == "noticed"
        if verdict == "survives":
            survivors.append(text)
    print(f"noticed {noticed} of {len(breaks)}; {len(survivors)} survive")
    if not arguments.work:
        shutil.rmtree(work)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
