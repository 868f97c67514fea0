"""Tensors that somebody computed are judged as the command line does, and bounds are those that it
judges by."""
import os
import tempfile
import unittest

import support

import numpy as np

import abn_verify

CLAIMS = dict(activation="leaky_relu", accumulate="f64")
EPS, SLOPE = float(np.float32(1e-5)), float(np.float32(0.01))  # as kernels are given them


def step(kind=np.float32, shape=(4, 3, 5, 2)):
    """A right step in double, rounded once."""
    draw = np.random.default_rng(7)
    x, dz = (draw.standard_normal(shape).astype(kind) for _ in range(2))
    gamma, beta = (draw.uniform(0.5, 1.5, shape[1]).astype(np.float32) for _ in range(2))
    axes, m = (0, 2, 3), x.size // shape[1]

    def column(vector):
        return np.asarray(vector, float)[:, None, None]
    mean, var = x.mean(axes, dtype=float), x.var(axes, dtype=float)
    r = column(1 / np.sqrt(var + EPS))
    xhat = (x - column(mean)) * r
    y = column(gamma) * xhat + column(beta)
    z = np.where(y > 0, y, SLOPE * y)
    dy = dz * np.where(y > 0, 1, SLOPE)
    dbeta, dgamma = dy.sum(axes), (dy * xhat).sum(axes)
    dx = column(gamma) * r * (dy - (column(dbeta) + xhat * column(dgamma)) / m)
    return dict(x=x, gamma=gamma, beta=beta, dz=dz, z=z.astype(kind),
                mean=mean.astype(np.float32), var=var.astype(np.float32), dx=dx.astype(kind),
                dgamma=dgamma.astype(np.float32), dbeta=dbeta.astype(np.float32))


class Check(unittest.TestCase):
    def test_a_right_step_passes_and_a_wrong_one_does_not(self):
        tensors = step()
        result = abn_verify.check(**tensors, **CLAIMS)
        self.assertTrue(result, result.text)
        self.assertEqual({row["id"].rpartition("/")[2] for row in result.table()},
                         {"mean", "variance", "z", "dx", "dgamma", "dbeta"})
        tensors["dx"] = tensors["dx"] + np.float32(0.01)
        result = abn_verify.check(**tensors, **CLAIMS)
        self.assertEqual([one.id for one in result.failures], ["step/backward/f32/nchw/dx"])
        self.assertIn('abn_verify.check(..., save_to="FILE")', result.failures[0].reproduce)

    def test_a_saved_file_gives_the_same_figures_on_the_command_line(self):
        tensors = step()
        tensors["dx"] = tensors["dx"] * np.float32(1.001)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "kept.safetensors")
            result = abn_verify.check(**tensors, **CLAIMS, save_to=path, name="kept")
            ran = support.subprocess.run(
                ["abn-verify", "check", path], env=support.environment(), capture_output=True,
                text=True, timeout=60, check=False)
        self.assertEqual(ran.returncode, 1)
        self.assertIn(result.failures[0].text, ran.stdout)

    def test_channels_last_is_an_axis(self):
        tensors = {name: np.moveaxis(array, 1, -1) if array.ndim > 1 else array
                   for name, array in step().items()}
        result = abn_verify.check(**tensors, **CLAIMS, channel_axis=-1)
        self.assertTrue(result, result.text)

    def test_what_does_not_belong_together(self):
        tensors = step()
        with self.assertRaisesRegex(abn_verify.UsageError, "z has the shape"):
            abn_verify.check(**{**tensors, "z": tensors["z"][:2]}, **CLAIMS)
        with self.assertRaisesRegex(abn_verify.UsageError, "int64"):
            abn_verify.check(**{**tensors, "x": np.zeros((2, 3, 4), int)}, **CLAIMS)
        with self.assertRaisesRegex(abn_verify.UsageError, "inputs only"):
            abn_verify.check(tensors["x"], **CLAIMS)


class Bounds(unittest.TestCase):
    def test_every_output_has_its_exact_values_and_a_bound_that_a_right_step_keeps(self):
        tensors = step()
        inputs = {name: tensors[name] for name in ("x", "gamma", "beta", "dz", "z", "mean", "var")}
        bounds = abn_verify.bound(**inputs, **CLAIMS)
        for name in ("z", "mean", "var", "dx", "dgamma", "dbeta"):
            error = abs(tensors[name] - bounds[name].exact)
            self.assertEqual(bounds[name].exact.shape, tensors[name].shape)
            self.assertTrue((error <= bounds[name].bound).all(), name)
            self.assertLessEqual(bounds[name].ratio(tensors[name]), 1)
            self.assertGreater(bounds[name].bound.min(), 0)

    def test_they_are_the_ones_that_the_judge_judges_by(self):
        tensors = step()
        tensors["dx"] = tensors["dx"] * np.float32(1.00001)
        inputs = {name: tensors[name] for name in ("x", "gamma", "beta", "dz", "z", "mean", "var")}
        limit = abn_verify.bound(**inputs, **CLAIMS)["dx"]
        ratio = (abs(tensors["dx"] - limit.exact) / limit.bound).max()
        result = abn_verify.check(**tensors, **CLAIMS)
        (judged,) = [row["ratio"] for row in result.table() if row["id"].endswith("/dx")]
        self.assertGreater(judged, 1)
        self.assertAlmostEqual(ratio / judged, 1, places=6)
        self.assertAlmostEqual(limit.ratio(tensors["dx"]) / judged, 1, places=6)
        with self.assertRaisesRegex(AssertionError, "the largest error is"):
            limit.assert_close(tensors["dx"])

    def test_a_bound_serves_as_atol(self):
        tensors = step()
        limit = abn_verify.bound(tensors["x"], gamma=tensors["gamma"], beta=tensors["beta"],
                                 **CLAIMS)["z"]
        self.assertTrue(np.isclose(tensors["z"], limit.exact, rtol=0, atol=limit.bound).all())
        wrong = tensors["z"] * np.float32(1.000001)
        self.assertFalse(np.isclose(wrong, limit.exact, rtol=0, atol=limit.bound).all())

    def test_what_is_not_finite_is_equal_or_not(self):
        limit = abn_verify.Bound(np.array([np.nan, np.inf, 1.0]), np.array([0, 0, 0.5]))
        self.assertEqual(limit.ratio(np.array([np.nan, np.inf, 1.25])), 0.5)
        self.assertEqual(limit.ratio(np.array([0.0, np.inf, 1.25])), np.inf)
        self.assertEqual(limit.ratio(np.array([np.nan, -np.inf, 1.25])), np.inf)


if __name__ == "__main__":
    unittest.main()
