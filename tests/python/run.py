#!/usr/bin/env python3
"""Runs one module of tests: run.py test_NAME; exit code 77 where all of them are skipped."""
import importlib.util
import sys
import unittest

if importlib.util.find_spec("numpy") is None:
    print(f"Skipped: {sys.executable} has no NumPy; install python3-numpy.")
    sys.exit(77)
program = unittest.main(sys.argv[1], argv=["run.py", "--verbose"], exit=False)
if program.result.testsRun == 0:
    sys.exit("no test ran")
if len(program.result.skipped) == program.result.testsRun:
    sys.exit(77)
sys.exit(0 if program.result.wasSuccessful() else 1)
