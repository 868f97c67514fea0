"""Kernels that no file holds are judged in the process that has them."""
import unittest

import support
from support import judged, python

import abn_verify
import kernels

ONE = dict(problem="n4c5s12,nchw,f32,leaky_relu:0.01", data="standard")

SESSION = f"""
import sys; sys.path.insert(0, {support.HERE!r})
import abn_verify, kernels
class Mine(kernels.Formulas):
    def dx_sums(self, p, dbeta, dgamma, xhat):
        return kernels.column(dbeta)
Mine = abn_verify.kernel(**kernels.CLAIMS)(Mine)
"""


class Here(unittest.TestCase):
    def test_a_right_kernel_passes_in_this_process(self):
        result = judged(kernels.Right, process="here")
        self.assertTrue(result, result.text)
        self.assertEqual(result.data["variants"][0]["process"],
                         "called in the Python process that asked for the verdict")

    def test_a_closure_is_found_by_no_file(self):
        @abn_verify.kernel(**kernels.CLAIMS)
        class Local(kernels.Formulas):
            pass
        result = judged(Local, **ONE)
        self.assertTrue(result, result.text)
        self.assertIn("the Python process that asked", result.data["variants"][0]["process"])
        with self.assertRaisesRegex(abn_verify.UsageError, 'say process="here"'):
            judged(Local, process="own", **ONE)

    def test_a_session_reproduces_by_a_call(self):
        ran = python(SESSION + f"""
result = abn_verify.judge(Mine, "Mine/backward/*/dx", seed=1, seconds=0, **{ONE!r})
(failure,) = result.failures
print(failure.reproduce)
again = eval(failure.reproduce)
assert again.failures[0].witness == failure.witness, str(again)
assert again.failures[0].likely == failure.likely, str(again)
""")
        self.assertEqual(ran.returncode, 0, ran.stderr + ran.stdout)
        self.assertTrue(ran.stdout.startswith('abn_verify.judge(Mine, "Mine/backward/f32/nchw/dx"'),
                        ran.stdout)

    def test_an_exception_and_an_exit_leave_this_process_alone(self):
        for kernel, word in ((kernels.Raises, "raised ValueError"),
                             (kernels.Exits, "raised SystemExit: 3")):
            result = judged(kernel, f"{kernel.__name__}/backward/*", process="here", **ONE)
            self.assertFalse(result)
            self.assertIn(word, result.text)

    def test_a_call_that_does_not_return_is_left_behind(self):
        result = judged(kernels.NeverReturns, "NeverReturns/backward/*", process="here",
                        call_seconds=1, **ONE)
        self.assertFalse(result)
        self.assertIn("did not come back within 1 seconds", result.text)

    def test_arrays_that_a_kernel_keeps_can_still_be_read(self):
        kept = []

        @abn_verify.kernel(**kernels.CLAIMS)
        class Keeps(kernels.Formulas):
            def forward(self, p, x, gamma, beta, running_mean, running_var, out):
                kept.append(x)
                super().forward(p, x, gamma, beta, running_mean, running_var, out)
        result = judged(Keeps, **ONE)
        self.assertTrue(result, result.text)
        self.assertTrue(kept)
        self.assertEqual(len([one.sum() for one in kept]), len(kept))


if __name__ == "__main__":
    unittest.main()
