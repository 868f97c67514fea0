"""The Triton example: judged in the interpreter and as PTX on the executor; a masked-lane bug is
caught in both, and on a GPU where there is one."""
import importlib.util
import os
import subprocess
import sys
import unittest

import support  # noqa: F401  (limits)
from abn_verify import _cli

EXAMPLE = os.path.join(support.HERE, "..", "..", "verify", "python", "examples",
                       "triton_batch_norm.py")
KERNELS = {"interpreter": "Interpreter", "ptx": "Ptx", "gpu": "Gpu"}


@unittest.skipIf(importlib.util.find_spec("triton") is None,
                 "there is no Triton; pip install triton")
class Triton(unittest.TestCase):
    def judged(self, where, problem="n3c2s150,nchw,f32,leaky_relu:0.01", planted=""):
        environment = {**os.environ, "PLANTED": planted, "ABN_VERIFY_PYTHON": sys.executable}
        environment.pop("TRITON_INTERPRET", None)
        if where == "interpreter":
            environment["TRITON_INTERPRET"] = "1"
        ran = subprocess.run(
            [_cli.program(), "run", "*/*ward/*", "--python",
             f"{EXAMPLE}:{KERNELS[where]}", "--only-plugins", "--problem", problem, "--data",
             "standard", "--seed", "1", "--memory", "8000"], env=environment, capture_output=True,
            text=True, timeout=300, check=False)
        return ran.returncode, ran.stdout + ran.stderr

    def right_and_planted(self, where):
        for kind in ("f32", "f16", "bf16"):
            code, said = self.judged(where, f"n3c2s150,nchw,{kind},leaky_relu:0.01")
            if code == 1 and (where, kind) == ("interpreter", "bf16"):
                # Triton 3.9's interpreter cuts f32 off where it makes bf16 of it; compiled, it is
                # rounded.
                self.assertIn("truncated_store", said)
                continue
            self.assertEqual(code, 0, said)
            self.assertIn(" pass", said)
        code, said = self.judged(where, planted="masked_lanes")
        self.assertEqual(code, 1, said)
        self.assertIn("forward/f32/nchw/var", said)

    def test_in_the_interpreter(self):
        self.right_and_planted("interpreter")

    def test_as_ptx(self):
        self.right_and_planted("ptx")

    @unittest.skipUnless(os.path.exists("/dev/nvidia0"), "there is no GPU")
    def test_on_a_gpu(self):
        self.right_and_planted("gpu")
