#!/usr/bin/env python3
"""Runs one module of tests: run.py test_NAME; exit code 77 where all of them are skipped."""
import importlib.util
import os
import sys
import unittest

if importlib.util.find_spec("numpy") is None:
    print(f"Skipped: {sys.executable} has no NumPy; install python3-numpy.")
    sys.exit(77)
program = unittest.main(sys.argv[1], argv=["run.py", "--verbose"], exit=False)
if program.result.testsRun == 0:
    sys.exit("no test ran")
skipped = len(program.result.skipped) == program.result.testsRun
sys.stdout.flush(), sys.stderr.flush()
# Not by sys.exit: a thread that a test has left behind in a call may come back to an interpreter
# that is being taken down, and nanobind aborts the process then.
os._exit(77 if skipped else 0 if program.result.wasSuccessful() else 1)
