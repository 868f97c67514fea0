#!/usr/bin/env python3
"""Counts what the compiled kernels execute for the layers of a ResNet-50, on the executor.

A row is one call: instructions of a thread for each 16 bytes of a tensor, all phases together,
beside the budget that the memory's pace leaves (cuda/PERFORMANCE.md). Counts are the same on every
machine, so that a slower loop is seen without a GPU. They depend on the compiler, whose version the
table names.

    ci/instruction_counts.py [--bin build/bin/abn-verify] [--types f16,f32] [--layers c256s196,...]
        --write fixtures/ptx/instructions.tsv    renew the table
        --check fixtures/ptx/instructions.tsv    compare with it; exit code 1: a row is above
        --over fixtures/ptx/instructions.tsv     print its rows above their budget

Exit code 77: this build has no compiled kernels, which come with nvcc.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

IMAGES = 8
LAYERS = ["c64s12544", "c64s3136", "c256s3136", "c128s784", "c512s784", "c256s196", "c1024s196",
          "c512s49", "c2048s49"]
SLACK = 1.02  # of another patch of the compiler


def compiler():
    try:
        text = subprocess.run(["nvcc", "--version"], capture_output=True, text=True).stdout
    except OSError:
        return "unknown"
    found = re.search(r"V([0-9.]+)", text)
    return found.group(1) if found else "unknown"


def counts(binary, problem):
    """{(variant, op): (count, budget)} of one problem, in place aside."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "traffic.json")
        ran = subprocess.run([binary, "traffic", "*", "--device", "ptx", "--problem", problem,
                              "--out", out], capture_output=True, text=True)
        if not os.path.exists(out):
            if "nvcc" in ran.stderr:
                print(ran.stderr.strip())
                sys.exit(77)
            sys.exit(f"{problem}: {ran.stderr.strip()}")
        with open(out, encoding="utf-8") as file:
            found = json.load(file)
    rows = {}
    for variant in found["variants"]:
        for call in variant.get("calls", []):
            if call["in_place"] or "instructions_per_16_bytes" not in call:
                continue
            rows[variant["variant"], call["op"]] = (round(call["instructions_per_16_bytes"], 1),
                                                    round(call["budget_per_16_bytes"]))
    return rows


def read(path):
    rows = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith("#") or not line.strip():
                continue
            variant, op, problem, count, budget = line.rstrip("\n").split("\t")
            rows[variant, op, problem] = (float(count), int(budget))
    return rows


def measured(options):
    rows = {}
    for dtype in options.types.split(","):
        for layout in ("nchw", "nhwc"):
            for layer in options.layers.split(","):
                problem = f"n{IMAGES}{layer},{layout},{dtype},leaky_relu:0.01"
                for (variant, op), found in counts(options.bin, problem).items():
                    rows[variant, op, problem] = found
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/bin/abn-verify")
    parser.add_argument("--types", default="f16,bf16,f32,f64")
    parser.add_argument("--layers", default=",".join(LAYERS))
    parser.add_argument("--write")
    parser.add_argument("--check")
    parser.add_argument("--over")
    options = parser.parse_args()
    if options.over:
        for (variant, op, problem), (count, budget) in read(options.over).items():
            if count > budget:
                print(f"{count:8.1f} of {budget}  {variant}/{op}  {problem}")
        return 0
    if not options.write and not options.check:
        parser.error("say --write FILE or --check FILE")
    rows = measured(options)
    if not rows:
        sys.exit("Nothing was counted; look at abn-verify traffic --device ptx.")
    if options.write:
        with open(options.write, "w", encoding="utf-8") as file:
            file.write("# Instructions of a thread for each 16 bytes of a tensor, by "
                       f"ci/instruction_counts.py; nvcc {compiler()}.\n"
                       "# variant, op, problem, instructions, budget\n")
            for (variant, op, problem), (count, budget) in rows.items():
                file.write(f"{variant}\t{op}\t{problem}\t{count}\t{budget}\n")
        return 0
    known = read(options.check)
    worse = [(key, count, known[key][0]) for key, (count, _) in rows.items()
             if key in known and not count <= known[key][0] * SLACK]
    missing = [key for key in rows if key not in known]
    for (variant, op, problem), count, was in worse:
        print(f"{variant}/{op} {problem}: {count} instructions, and {was} in the table; make it "
              f"quicker, or renew the table with --write {options.check}")
    for variant, op, problem in missing:
        print(f"{variant}/{op} {problem} is not in the table; renew it with --write "
              f"{options.check}")
    print(f"{len(rows)} calls counted, {len(worse)} above the table, {len(missing)} not in it")
    return 1 if worse or missing else 0


if __name__ == "__main__":
    sys.exit(main())
