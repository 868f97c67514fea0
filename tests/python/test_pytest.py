"""The pytest plug-in: items, -k, JUnit, xdist, and a test that fails with the judge's words."""
import importlib.util
import os
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

import support

KERNELS = '''
import numpy as np
import abn_verify

class Formulas:
    def forward(p, x, gamma, beta, running_mean, running_var):
        mean, var = x.mean((0, 2), dtype=float), x.var((0, 2), dtype=float)
        y = gamma[:, None] * ((x - mean[:, None]) / np.sqrt(var + EPS(p))[:, None]) + beta[:, None]
        z = np.where(y > 0, y, p.slope * y) + 0.0
        new_mean = (1 - p.momentum) * running_mean.astype(float) + p.momentum * mean
        new_var = ((1 - p.momentum) * running_var.astype(float)
                   + p.momentum * var * p.m / max(p.m - 1, 1))
        return tuple(one.astype("f4") for one in (z, mean, var, new_mean, new_var))

    def backward(p, dz, x, z, gamma, mean, var):
        r = 1 / np.sqrt(var.astype(float) + EPS(p))[:, None]
        xhat = (x.astype(float) - mean[:, None]) * r
        dy = np.where(np.signbit(z), p.slope, 1) * dz.astype(float)
        dgamma, dbeta = (dy * xhat).sum((0, 2)), dy.sum((0, 2))
        dx = gamma[:, None] * r * (dy - (dbeta[:, None] + xhat * dgamma[:, None]) / p.m)
        return dx.astype("f4"), dgamma.astype("f4"), dbeta.astype("f4")
'''
RIGHT = "EPS = lambda p: p.eps" + KERNELS
WRONG = "EPS = lambda p: 2 * p.eps" + KERNELS
CLASS = '''
@abn_verify.kernel(accumulate="f64", depth=abn_verify.loop, supports=lambda p: p.m * p.c > 0)
class Mine(Formulas):
    pass
'''
UNFINDABLE = "\nMine.__qualname__ = 'Other'\n"
TESTS = '''
import abn_verify, mine

@abn_verify.parametrize(mine.Mine, tier="quick", seconds=0, options=["--memory", "2000"])
def test_checks(abn_check):
    abn_check()

def test_whole(abn):
    abn.judge(mine.Mine, "*/forward/f32/nchw/z", seconds=0, options=["--memory", "2000"])
'''


@unittest.skipIf(importlib.util.find_spec("pytest") is None,
                 "there is no pytest; install python3-pytest")
class Plugin(unittest.TestCase):
    def pytest(self, kernel, *words, unfindable=False):
        """(exit code, output, {item: outcome})"""
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (("mine.py", kernel + CLASS + UNFINDABLE * unfindable),
                               ("test_mine.py", TESTS)):
                with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                    file.write(text)
            environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
            ran = subprocess.run(
                [sys.executable, "-m", "pytest", "-p", "abn_verify.pytest_plugin", "-p",
                 "no:cacheprovider", "--junitxml", "out.xml", "-q", *words], cwd=folder,
                env=environment, capture_output=True, text=True, timeout=200, check=False)
            items = {}
            if os.path.exists(os.path.join(folder, "out.xml")):
                for case in xml.etree.ElementTree.parse(
                        os.path.join(folder, "out.xml")).iter("testcase"):
                    outcome = [child.tag for child in case if child.tag != "properties"]
                    items[case.get("name")] = outcome[0] if outcome else "passed"
        return ran.returncode, ran.stdout + ran.stderr, items

    def test_one_item_a_check(self):
        code, said, items = self.pytest(RIGHT, "-k", "f32")
        self.assertEqual(code, 0, said)
        for check in ("forward/f32/nchw/z", "backward/f32/nchw/dx", "forward/f32/nchw/inputs"):
            self.assertEqual(items.get(f"test_checks[{check}]"), "passed", said)

    def test_chosen_by_k(self):
        code, said, items = self.pytest(RIGHT, "-k", "backward and dgamma")
        self.assertEqual(code, 0, said)
        self.assertEqual(list(items), ["test_checks[backward/f32/nchw/dgamma]"], said)

    def test_failures_say_what_the_judge_says(self):
        code, said, items = self.pytest(WRONG, "-k", "test_whole or forward/f32/nchw/z")
        self.assertEqual(code, 1, said)
        self.assertEqual(set(items.values()), {"failure"}, said)
        self.assertIn("likely", said)
        self.assertIn("reproduce abn-verify run", said)

    @unittest.skipIf(importlib.util.find_spec("xdist") is None, "there is no pytest-xdist")
    def test_on_two_processes(self):
        code, said, items = self.pytest(RIGHT, "-n", "2", "--dist", "loadgroup", "-k",
                                        "forward or backward")
        self.assertEqual(code, 0, said)
        self.assertGreater(len(items), 8, said)

    def test_a_kernel_that_no_process_finds(self):
        code, said, _ = self.pytest(RIGHT, unfindable=True)
        self.assertNotEqual(code, 0)
        self.assertIn("is found by no file and name", said)


del support
