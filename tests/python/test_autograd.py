"""judge_autograd: PyTorch's own layers pass, and ten mistakes of Python authors are caught.

    python3 test_autograd.py --table     what the judge says of each mistake, in Markdown
"""
import sys
import unittest

import support  # noqa: F401  (limits)
import abn_verify

try:
    import torch
    from torch import nn
    import planted_autograd as planted
    torch.set_num_threads(1)
except ImportError:
    torch = None

needs_torch = unittest.skipIf(torch is None, "there is no PyTorch; install python3-torch")


@needs_torch
class Layers(unittest.TestCase):
    def judged(self, function, activation=None, **options):
        result = abn_verify.judge_autograd(function, activation, **options)
        self.assertTrue(result, str(result))
        self.assertEqual(set(result.styles.values()), {"pass"})
        return result

    def test_leaky_relu(self):
        result = self.judged(nn.Sequential(nn.BatchNorm2d(8), nn.LeakyReLU(0.01)))
        self.assertEqual(set(result.claims), {"f32", "bf16"})
        # Sums and statistics of the CPU kernels are in f64, products in f32; a*x + b.
        self.assertEqual(result.claims["f32"]["normalise"], "folded")
        self.assertTrue(any("an error" in one for one in result.undistinguished["f32"]))

    def test_relu(self):
        self.judged(nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(inplace=True)), types=("f64",))

    def test_elu(self):
        self.judged(nn.Sequential(nn.BatchNorm2d(8), nn.ELU()), types=("f32",))

    def test_bf16_autocast(self):
        self.judged(nn.Sequential(nn.BatchNorm2d(8), nn.ReLU()), types=("bf16",), autocast="bf16")

    def test_functional(self):
        def functional(x, weight, bias, running_mean, running_var, training, eps, momentum):
            return nn.functional.batch_norm(x, running_mean, running_var, weight, bias, training,
                                            momentum, eps)
        self.judged(functional, types=("f32",))

    def test_without_statistics_and_affine(self):
        self.judged(nn.BatchNorm2d(8, affine=False, track_running_stats=False), types=("f32",),
                    channels=False)

    def test_by_hand(self):
        self.judged(planted.by_hand(""), planted.LEAKY, types=("bf16",))


@needs_torch
class Mistakes(unittest.TestCase):
    pass


def add_mistake(name):
    def test(self):
        function, options, text = planted.PLANTED[name]
        result = abn_verify.judge_autograd(function, **options)
        self.assertEqual(result.verdict, "fail", str(result))
        self.assertIn(text, str(result))
    setattr(Mistakes, f"test_{name}", test)


for one in planted.PLANTED if torch else ():
    add_mistake(one)


@needs_torch
class Questions(unittest.TestCase):
    def refused(self, text, *arguments, **options):
        with self.assertRaisesRegex(abn_verify.UsageError, text):
            abn_verify.judge_autograd(*arguments, **options)

    def test_wrong_ones(self):
        self.refused("is no module and no function", 3)
        self.refused("parameter 'scales'", lambda x, scales: x)
        self.refused("has no parameter x", lambda gamma: gamma)
        self.refused("has 2 layers", nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(2)))
        self.refused("The activation of Sequential is not clear",
                     nn.Sequential(nn.BatchNorm2d(2), nn.Softplus()))
        self.refused("is not a style", nn.BatchNorm2d(2), styles=("striped",))
        self.refused("is not a type", nn.BatchNorm2d(2), types=("int8",))

    def test_a_function_that_never_runs_is_no_pass(self):
        def broken(x, gamma, beta):
            raise RuntimeError("not today")
        result = abn_verify.judge_autograd(broken, types=("f32",))
        self.assertEqual(result.verdict, "skip")
        self.assertFalse(result)
        self.assertIn("not today", str(result))

    def test_a_claim_that_is_made_is_not_searched_for(self):
        result = abn_verify.judge_autograd(nn.BatchNorm2d(2), types=("f32",), normalise="direct")
        self.assertFalse(result)
        self.assertIn("folded", str(result))


def table():
    print("| mistake | fails | what the judge says first |\n|---|---|---|")
    for name, (function, options, _) in planted.PLANTED.items():
        result = abn_verify.judge_autograd(function, **options)
        first = result.findings[0]
        said = [result.pattern, f"{first.what}: " + ("; ".join(first.likely) or first.reason)]
        print(f"| {name} | {', '.join(dict.fromkeys(one.what for one in result.findings))} | "
              f"{'; '.join(filter(None, said))} |", flush=True)


if __name__ == "__main__" and sys.argv[1:] == ["--table"]:
    table()
