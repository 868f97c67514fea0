"""Right kernels pass and planted bugs fail by name, from Python and from the command line."""
import unittest

import support
from support import judged

import abn_verify
import kernels

ONE = dict(problem="n4c5s12,nchw,f32,leaky_relu:0.01", data="standard")


def names(result):
    return {failure.id.split("/", 1)[1] for failure in result.failures}


class Verdicts(unittest.TestCase):
    def test_a_right_kernel_passes_the_quick_tier(self):
        result = judged(kernels.Right)
        self.assertTrue(result, result.text)
        self.assertEqual(result.verdict, "pass")
        self.assertGreater(result.counts["pass"], 20)
        self.assertEqual(result.failures, ())
        self.assertIn("Right/backward/f32/nchw/dx", [row["id"] for row in result.table()])
        self.assertIn(result.headline, result.text)

    def test_returned_results_are_judged_like_those_written_in_place(self):
        result = judged(kernels.Returned)
        self.assertTrue(result, result.text)

    def test_a_kernel_without_backward_is_judged_forward_and_it_is_said(self):
        result = judged(kernels.ForwardOnly)
        self.assertTrue(result, result.text)
        self.assertEqual({row["id"] for row in result.table() if "backward" in row["id"]}, set())
        self.assertIn("gives no backward, no mean, no variance, no running statistics",
                      " ".join(result.text.split()))

    def test_planted_bugs_fail_and_are_named(self):
        for kernel, check, mistake in (
                (kernels.EpsOutside, "forward/f32/nchw/z", "eps"),
                (kernels.MomentumSwapped, "forward/f32/nchw/running_mean", "momentum"),
                (kernels.BiasedRunning, "forward/f32/nchw/running_var", "biased"),
                (kernels.MissingXhatTerm, "backward/f32/nchw/dx", "xhat"),
                (kernels.SlopeForgotten, "backward/f32/nchw/dx", "slope")):
            with self.subTest(kernel.__name__):
                result = judged(kernel, f"{kernel.__name__}/*ward/*")
                self.assertFalse(result)
                found = [one for one in result.failures if one.id.endswith(check)]
                self.assertEqual(len(found), 1, result.text)
                self.assertIn(mistake, found[0].likely + found[0].reason)
                self.assertGreater(found[0].ratio, 1)
                self.assertIn(found[0].reproduce, found[0].text)

    def test_a_claim_that_is_too_strict_is_answered_by_one_that_fits(self):
        result = judged(kernels.ShallowClaim, "*/forward/*/mean",
                        problem="n16c4s256,nchw,f32,identity", data="large_mean")
        self.assertFalse(result)
        self.assertIn("passes if it declared depth", result.failures[0].reason)

    def test_a_reproduce_line_fails_the_same(self):
        result = judged(kernels.MissingXhatTerm, "*/backward/*/dx", **ONE)
        (failure,) = result.failures
        code, printed = support.replay(failure.reproduce)
        self.assertEqual(code, 1, printed)
        self.assertIn(failure.witness, printed)

    def test_a_page_for_notebooks(self):
        page = judged(kernels.MissingXhatTerm, "*/backward/*", **ONE)._repr_html_()
        self.assertIn("MissingXhatTerm/backward/f32/nchw/dx", page)
        self.assertIn("<table>", page)


class Questions(unittest.TestCase):
    """What is wrong with a question is one sentence that says what to do."""

    def test_a_pattern_that_matches_nothing(self):
        with self.assertRaisesRegex(abn_verify.UsageError, "backwards"):
            judged(kernels.Right, "Right/backwards/*")

    def test_a_parameter_that_no_kernel_is_given(self):
        with self.assertRaisesRegex(TypeError, "parameter 'weight'"):
            @abn_verify.kernel()
            class Wrong:
                def forward(p, x, weight, beta):
                    return x

    def test_a_claim_that_there_is_not(self):
        with self.assertRaisesRegex(ValueError, "'three_pass' is not a statistics"):
            abn_verify.kernel(statistics="three_pass")(type("K", (), dict(forward=lambda x: x)))
        with self.assertRaisesRegex(TypeError, "no argument precision"):
            abn_verify.kernel(precision="f32")(type("K", (), dict(forward=lambda x: x)))

    def test_files_without_kernels(self):
        for place, sentence in (("nothing.py", "There is no file nothing.py"),
                                (support.__file__, "declares no kernel"),
                                (f"{kernels.__file__}:Nobody", "has no Nobody")):
            code, printed = support.replay(f"abn-verify run --python {place}")
            self.assertEqual(code, 2, printed)
            self.assertIn(sentence, printed)


if __name__ == "__main__":
    unittest.main()
