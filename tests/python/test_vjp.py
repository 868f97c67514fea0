"""judge_vjp: a layer in NumPy, and in JAX where it is installed; right, and with mistakes."""
import unittest

import numpy as np

import support  # noqa: F401  (limits)
import abn_verify

try:
    import jax
except ImportError:
    jax = None


def column(values):
    return values[:, None, None]


def norm_of(bug=""):
    """Batch norm + ReLU with its vjp."""
    def norm(x, gamma, beta, running_mean, running_var, training, eps, momentum):
        real, new = x.dtype.type, None
        m = x.size // x.shape[1]
        if training:
            mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
            q, unbiased = real(momentum), var * real(m / max(m - 1, 1))
            new = ((1 - q) * running_mean + q * mean, (1 - q) * running_var + q * unbiased)
        else:
            mean, var = running_mean, running_var
        r = 1 / np.sqrt(var + real(eps))
        xhat = (x - column(mean)) * column(r)
        if bug == "stale":
            norm.kept = xhat
        y = column(gamma) * xhat + column(beta)

        def vjp(dz):
            kept = norm.kept if bug == "stale" else xhat
            if bug == "strides":  # as a kernel sees it that is given a pointer and no strides
                dz = np.lib.stride_tricks.as_strided(dz, dz.shape, np.empty_like(x).strides) \
                    if dz.strides == dz[::1].copy().strides else np.full_like(x, dz.flat[0])
            dy = np.where(y > 0, dz, real(0))
            dbeta, dgamma = dy.sum((0, 2, 3)), (dy * kept).sum((0, 2, 3))
            if training and bug != "no_mean":
                dy = dy - column(dbeta / real(m)) - kept * column(dgamma / real(m))
            elif training:
                dy = dy - kept * column(dgamma / real(m))
            return dy * column(gamma * r), dgamma, dbeta

        return (np.maximum(y, 0), vjp, new) if training else (np.maximum(y, 0), vjp)
    return norm


class InNumpy(unittest.TestCase):
    def test_right(self):
        result = abn_verify.judge_vjp(norm_of(), "relu", types=("f32", "f64"))
        self.assertTrue(result, str(result))
        self.assertEqual(set(result.claims), {"f32", "f64"})

    def test_mistakes(self):
        for bug, text in (("stale", "wrong with interleaved"), ("strides", "wrong with"),
                          ("no_mean", "mean")):
            with self.subTest(bug):
                result = abn_verify.judge_vjp(norm_of(bug), "relu")
                self.assertEqual(result.verdict, "fail", str(result))
                self.assertIn(text, str(result))


@unittest.skipIf(jax is None, "there is no JAX")
class InJax(unittest.TestCase):
    @staticmethod
    def norm(x, scale, bias, eps):
        mean = x.mean((0, 2, 3), keepdims=True)
        var = ((x - mean) ** 2).mean((0, 2, 3), keepdims=True)
        y = (x - mean) / jax.numpy.sqrt(var + eps) * column(scale) + column(bias)
        return jax.nn.leaky_relu(y, 0.01)

    def test_right(self):
        result = abn_verify.judge_vjp(self.norm, "leaky_relu:0.01")
        self.assertTrue(result, str(result))

    def test_compiled(self):
        result = abn_verify.judge_vjp(jax.jit(self.norm), "leaky_relu:0.01", framework="jax")
        self.assertTrue(result, str(result))

    def test_a_gradient_that_is_stopped(self):
        def stopped(x, scale, bias, eps):
            mean = jax.lax.stop_gradient(x.mean((0, 2, 3), keepdims=True))
            var = ((x - mean) ** 2).mean((0, 2, 3), keepdims=True)
            return jax.nn.relu((x - mean) / jax.numpy.sqrt(var + eps) * column(scale)
                               + column(bias))
        result = abn_verify.judge_vjp(stopped, "relu")
        self.assertEqual(result.verdict, "fail", str(result))
        self.assertIn("dx", str(result))

