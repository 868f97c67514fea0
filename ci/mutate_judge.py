#!/usr/bin/env python3
"""Breaks the judge on purpose, statement by statement, and tells which breaks no test notices.

Every statement of the bounds that adds a term is left out, and every one of LINES and SWITCHES is
replaced, one at a time; the tests of bounds, judgement and comparison then have to fail. So is each
limit of a worker and each boundary of trust between it and the judge (worker_breaks.py): `--only
worker` tries these. A break that survives is a hole in the tests, or a statement that does nothing.
The breaks of the bounds, of SWITCHES and of workers are all built at once, each behind a switch
that an environment variable turns; the others are built one by one. Takes some thirty minutes, and
needs clang-format: in the copy that is broken a statement of the bounds is a line, however long.

    ci/mutate_judge.py [--only TEXT] [--work FOLDER] [--list]
"""

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile

import worker_breaks

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
    (BACKWARD, "closed.constant = rounding * (s0_roundings + a.count_roundings) * closed.mean0;",
     "closed.constant = 0;"),
    (BACKWARD, "closed.per_xhat = rounding * (s1_roundings + a.count_roundings) * closed.mean1;",
     "closed.per_xhat = 0;"),
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
    (COMPARE, "if (!(error >= 0) || !(bound >= 0))", "if (error < 0 || bound < 0)"),
    (COMPARE, "error / bound : infinity;", "error / bound : 0;"),
    (COMPARE, "return std::isfinite(got) ? pass_class()", "return true ? pass_class()"),
    (COMPARE, "return std::isfinite(got) ? fail_class(", "return false ? fail_class("),
    (COMPARE, "return std::isnan(got) ? pass_class()", "return true ? pass_class()"),
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
CURVE, BOUND = "verify/bound/curve.hpp", "verify/bound/bound.hpp"
ARITHMETIC = "verify/bound/bound.cpp"
RECOVERY, KINK = "verify/bound/recovery.hpp", "verify/judge/kink.cpp"
GRADIENTS, FORWARDS = "verify/expect/expect_backward.cpp", "verify/expect/expect_forward.cpp"
JUDGE, SAMPLE = "verify/judge/judge.cpp", "verify/judge/sample.cpp"
MOVED, SHARDS = "verify/check/moved.cpp", "verify/check/sync/sharded.cpp"
SWITCHES = [  # file, text, what it becomes where BROKEN is true
    (CURVE, "+ off / 2 * bend, curve.stretch()",
     "+ (BROKEN ? 0 : off / 2 * bend), curve.stretch()"),
    (CURVE, "off / 2 * curve.third(y, off)", "(BROKEN ? 0 : off / 2 * curve.third(y, off))"),
    (CURVE, "most = larger(most, larger(std::fabs(kink.left), std::fabs(kink.right)));",
     "most = BROKEN ? most : larger(most, larger(std::fabs(kink.left), std::fabs(kink.right)));"),
    (CURVE, "most = larger(most, larger(std::fabs(kink.left - at), std::fabs(kink.right - at)));",
     "most = BROKEN ? most : larger(most, larger(std::fabs(kink.left - at), "
     "std::fabs(kink.right - at)));"),
    (CURVE, "larger(a.function, a.u) * functions",
     "(BROKEN ? 0 : larger(a.function, a.u)) * functions"),
    (CURVE, "a.u * roundings + lost", "(BROKEN ? 0 : a.u * roundings) + lost"),
    (CURVE, "5 * z, overflows(y) ? z : 0", "5 * z, overflows(y) && !BROKEN ? z : 0"),
    (CURVE, "4 * z, overflows(y) ? z : 0", "4 * z, overflows(y) && !BROKEN ? z : 0"),
    (BOUND, "{larger(a.u, a.activation.u),", "{BROKEN ? a.u : larger(a.u, a.activation.u),"),
    (BOUND, "larger(a.eta, a.activation.eta)", "BROKEN ? a.eta : larger(a.eta, a.activation.eta)"),
    (BOUND, "a.function + a.activation.u,", "a.function + (BROKEN ? 0 : a.activation.u),"),
    (ARITHMETIC, "materialised(ABN_MATERIALISES_Y | ABN_MATERIALISES_ACTIVATION)",
     "materialised(BROKEN ? 1U : 17U)"),
    (ARITHMETIC, "a.load.u * c.mean_abs + a.load.eta / 2",
     "a.load.u * c.mean_abs + (BROKEN ? 0 : a.load.eta / 2)"),
    (ARITHMETIC, "moved * (2 * std::sqrt(c.variance) + moved)",
     "(BROKEN ? 0 : moved) * (2 * std::sqrt(c.variance) + moved)"),
    (ARITHMETIC, "a.derivative_from_y = (claims", "a.derivative_from_y = !BROKEN && (claims"),
    (ARITHMETIC, "a.apart = claims.normalise", "a.apart = !BROKEN && claims.normalise"),
    (ARITHMETIC, "load_out = narrowing(out,", "load_out = BROKEN ? Rounding{} : narrowing(out,"),
    (ARITHMETIC, "a.store_out = narrowing(accumulate, out);",
     "a.store_out = BROKEN ? a.store : narrowing(accumulate, out);"),
    (RECOVERY, "a.load_out(dz) / dz * dy",
     "(BROKEN ? a.load_out.u * dz : a.load_out(dz)) / dz * dy"),
    (RECOVERY, "larger(0, tilt_by_storage(i, off) - tilt)",
     "(BROKEN ? 0 : larger(0, tilt_by_storage(i, off) - tilt))"),
    (RECOVERY, "out.open = end_to_end() && meets_kink(",
     "out.open = !BROKEN && end_to_end() && meets_kink("),
    (GRADIENTS, "const bool lost = in_place(claims)",
     "const bool lost = !BROKEN && in_place(claims)"),
    (GRADIENTS, "if (lost && !(finite(in.z)", "if (!BROKEN && lost && !(finite(in.z)"),
    (GRADIENTS, "error.mean_materialised += ", "error.mean_materialised += (BROKEN ? 0 : 1) * "),
    (GRADIENTS, "error.variance_materialised += ",
     "error.variance_materialised += (BROKEN ? 0 : 1) * "),
    (GRADIENTS, "if (!saved.narrowed) return;", "if (BROKEN || !saved.narrowed) return;"),
    (GRADIENTS, "if (in.frozen) continue;", "if (BROKEN || in.frozen) continue;"),
    (GRADIENTS, "if (!declared.undefined.empty())",
     "if (!BROKEN && !declared.undefined.empty())"),
    (FORWARDS, "const bool by_class = !training || !finite_affine;",
     "const bool by_class = !training || (!BROKEN && !finite_affine);"),
    (FORWARDS, "std::isfinite(x) && finite_affine &&",
     "std::isfinite(x) && (BROKEN || finite_affine) &&"),
    (FORWARDS, "std::isinf(v.g) && (judges.declared.folded ||",
     "!BROKEN && std::isinf(v.g) && (judges.declared.folded ||"),
    (KINK, "gradients) < failed ? left : right", "gradients) < failed && !BROKEN ? left : right"),
    (KINK, "if (failed == 0) return right;", "if (failed == 0 || BROKEN) return right;"),
    (JUDGE, "kind.empty = 1;", "kind.empty = BROKEN ? 0 : 1;"),
    (JUDGE, "kind.telling = telling ? 1 : 0;", "kind.telling = telling || BROKEN ? 1 : 0;"),
    (SAMPLE, "chosen.insert(count - 1);", "if (!BROKEN) chosen.insert(count - 1);"),
    (SAMPLE, "chosen.insert(first_of_17_bits);", "chosen.insert(BROKEN ? 0 : first_of_17_bits);"),
    (MOVED, "attempt([&](abn_problem& p) { p.mode = goal.mode; });",
     "if (!BROKEN) attempt([&](abn_problem& p) { p.mode = goal.mode; });"),
    (MOVED, "if (moved) give_variance(one);", "if (moved && !BROKEN) give_variance(one);"),
    (MOVED, "++(moved ? out.moved : out.unsupported);",
     "++(moved && !BROKEN ? out.moved : out.unsupported);"),
    (SHARDS, "if (cut.plan.images[rank] == 0) continue;",
     "if (cut.plan.images[rank] == 0 && !BROKEN) continue;"),
    (SHARDS, "out->depth_statistics += ranks, out->depth_backward += ranks;",
     "if (!BROKEN) out->depth_statistics += ranks, out->depth_backward += ranks;"),
    (SHARDS, "sum[c] += one[c];", "sum[c] = (BROKEN ? 0 : sum[c]) + one[c];"),
]
# The suites that judge the judge; the others would only take time.
FILTER = ("verify_bound*:Compar*:Tallies*:verify_oracle*:NullBattery*:Verdicts*:AccusedKernels*:"
          "Kink*:Conventions*:Curve*:TensorFileCheck*")
SECONDS, MEMORY = 600, 6 << 30  # of one break's tests: a broken length may ask for everything
PROGRAMS = {  # of files that other programs test: the program, and its suites
    SAMPLE: ("mutant-tests", "Samples*:SizeBugs*"),
    MOVED: ("mutant-tests", "Narrow*"),
    JUDGE: ("mutant-tests", "Narrow*"),
    SHARDS: ("check-tests", "Sync*"),
}


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


class Edit:
    """A statement that is left out, or a part of it that is replaced."""

    def __init__(self, files, path, text, replacement):
        at = [i for i, line in enumerate(files[path]) if text in line]
        if len(at) != 1:
            sys.exit(f"{path} has {len(at)} lines with \"{text}\"; bring the list in "
                     "ci/mutate_judge.py or ci/worker_breaks.py up to date.")
        self.path, self.index, self.text, self.replacement = path, at[0], text, replacement


class Break:
    """One change, of one place or of several."""

    def __init__(self, edits, number, inside=False, what="", program=("verify-tests", FILTER)):
        self.edits, self.number, self.what = edits, number, what
        self.inside = inside  # the replacement itself asks whether it is turned on
        self.switched = inside or edits[0].path in BOUNDS
        self.program = PROGRAMS.get(edits[0].path, program)

    def __str__(self):
        first = self.edits[0]
        becomes = "" if first.replacement is None else f"  ->  {first.replacement}"
        shown = self.what or f"{first.text}{becomes}"
        return f"{first.path}:{self.number}  {shown}"


def all_breaks(files, only):
    """All of them whose file or text holds `only`; files: {path: its statements}."""
    numbers = {path: original_lines(path, lines) for path, lines in files.items()}
    breaks = []

    def add(edits, **more):
        breaks.append(Break(edits, numbers[edits[0].path][edits[0].index], **more))
    for path in BOUNDS:
        for index, line in enumerate(files[path]):
            if ADDS_TERM.match(line):
                edit = Edit({path: [line]}, path, line.strip(), None)
                edit.index = index
                add([edit])
    for row in LINES + SWITCHES:
        add([Edit(files, *row)], inside=row in SWITCHES)
    for what, rows, *program in worker_breaks.BREAKS:
        add([Edit(files, *row) for row in rows], inside=True, what=f"worker: {what}",
            program=(program or [("verify-tests", worker_breaks.SUITES)])[0])
    return [one for one in breaks
            if any(only in f"{edit.path} {edit.text} {one.what}" for edit in one.edits)]


SWITCH = """
#ifndef ABN_BROKEN_SWITCH
#define ABN_BROKEN_SWITCH
#include <cstdlib>
namespace abn::verify {
inline const int broken_line =
    std::getenv("ABN_BROKEN") != nullptr ? std::atoi(std::getenv("ABN_BROKEN")) : -1;
}
#endif
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

    def require_suites(self, name, suites):
        """Every pattern has to name a test, or it would be silently empty."""
        program = os.path.join(self.folder, "bin", name)
        for pattern in suites.split(":"):
            listed = subprocess.run([program, f"--gtest_filter={pattern}", "--gtest_list_tests"],
                                    capture_output=True, text=True)
            if not re.search(r"^  \w", listed.stdout, re.M):
                sys.exit(f"{name} has no test {pattern}; bring the suites in "
                         "ci/mutate_judge.py up to date.")

    def run_tests(self, broken, name, suites):
        made = subprocess.run(["ninja", "-C", self.folder, name], capture_output=True, text=True)
        if made.returncode != 0:
            self.message = made.stdout
            return "does not compile"
        environment = dict(os.environ, ABN_BOUND_CASES="1500", ABN_SOURCE_DIR=self.source,
                           ABN_BROKEN=str(broken))
        try:
            test = subprocess.run([os.path.join(self.folder, "bin", name),
                                   f"--gtest_filter={suites}", "--gtest_fail_fast"],
                                  capture_output=True, text=True, env=environment, cwd=self.source,
                                  timeout=SECONDS, preexec_fn=lambda: resource.setrlimit(
                                      resource.RLIMIT_AS, (MEMORY, MEMORY)))
        except subprocess.TimeoutExpired:
            return "noticed"  # a test that does not end is none that passes
        self.message = test.stdout
        return "survives" if test.returncode == 0 else "noticed"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="only breaks whose file or text holds this")
    parser.add_argument("--work", default="", help="build here, and keep it")
    parser.add_argument("--list", action="store_true", help="print the breaks and stop")
    arguments = parser.parse_args()
    paths = BOUNDS + [COMPARE, TRIVIAL] + [path for path, _, _ in SWITCHES]
    paths += [path for _, rows, *_ in worker_breaks.BREAKS for path, _, _ in rows]
    files = {path: statements(path) for path in dict.fromkeys(paths)}
    breaks = all_breaks(files, arguments.only)
    if not breaks:
        sys.exit(f"No break holds \"{arguments.only}\"; --list shows all.")
    if arguments.list:
        print("\n".join(map(str, breaks)))
        return 0
    work = arguments.work or tempfile.mkdtemp(prefix="abn-mutate-")
    build = Build(work)
    copy_tree(build.source)
    touched = dict.fromkeys(edit.path for one in breaks for edit in one.edits)
    files = {path: files[path] for path in touched}  # what is not broken stays as it is
    for index, one in enumerate(breaks):
        for edit in one.edits if one.inside else []:
            lines = files[edit.path]
            on = edit.replacement.replace("BROKEN", f"(::abn::verify::broken_line == {index})")
            lines[edit.index] = lines[edit.index].replace(edit.text, on)
    for index, one in enumerate(breaks):
        if one.switched and not one.inside:
            edit = one.edits[0]
            lines = files[edit.path]
            lines[edit.index] = switched(lines[edit.index], index, edit.text, edit.replacement)
    for path, lines in files.items():
        text = "\n".join(lines)
        if any(one.switched and edit.path == path for one in breaks for edit in one.edits):
            text = (text.replace("#pragma once\n", "#pragma once\n" + SWITCH, 1)
                    if path.endswith(".hpp") else SWITCH + text)
        files[path] = text.split("\n")
        write_lines(os.path.join(build.source, path), files[path])
    build.configure()
    for name, suites in dict.fromkeys(one.program for one in breaks):
        before = build.run_tests(-1, name, suites)
        if before != "survives":
            print(build.message[-4000:])
            sys.exit(f"The tests {'fail' if before == 'noticed' else 'do not compile'} before "
                     "anything is broken; mend that first.")
        build.require_suites(name, suites)
    noticed, survivors = 0, []
    for index, one in enumerate(breaks):
        if one.switched:
            verdict = build.run_tests(index, *one.program)
        else:
            edit = one.edits[0]
            file, lines = os.path.join(build.source, edit.path), list(files[edit.path])
            # the switch, where there is one, stands in front
            at = next(i for i, line in enumerate(lines) if edit.text in line)
            lines[at] = lines[at].replace(edit.text, edit.replacement)
            write_lines(file, lines)
            verdict = build.run_tests(-1, *one.program)
            write_lines(file, files[edit.path])
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
