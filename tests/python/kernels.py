"""Right kernels and planted bugs, each as people write them; loaded by name in workers of the
judge."""
import ctypes
import os
import sys
import time

import numpy as np

import abn_verify

CLAIMS = dict(activations=("identity", "leaky_relu"), modes=("training", "frozen"),
              accumulate="f64", depth=abn_verify.loop)


def column(vector):
    return np.asarray(vector, float)[:, None]


class Formulas:
    """The steps of a right kernel, each to be planted with a bug in a subclass."""

    def statistics(self, p, x):
        return x.mean((0, 2), dtype=float), x.var((0, 2), dtype=float)

    def inverse_deviation(self, p, var):
        return 1 / np.sqrt(var + p.eps)

    def update(self, p, mean, var, running_mean, running_var):
        running_mean += p.momentum * (mean - running_mean)
        running_var += p.momentum * (var * p.m / (p.m - 1) - running_var)

    def slope_backward(self, p, dz, z):
        return np.where(np.signbit(z), p.slope, 1) * dz.astype(float)

    def dx_sums(self, p, dbeta, dgamma, xhat):
        return column(dbeta) + xhat * column(dgamma)

    def forward(self, p, x, gamma, beta, running_mean, running_var, out):
        mean, var = running_mean, running_var
        if p.training:
            mean, var = self.statistics(p, x)
            out.mean[:], out.var[:] = mean, var
            self.update(p, mean, var, running_mean, running_var)
        y = column(gamma) * ((x - column(mean)) * column(self.inverse_deviation(p, np.asarray(
            var, float)))) + column(beta)
        out.z[...] = np.where(y > 0, y, p.slope * y) + 0.0

    def backward(self, p, dz, x, z, gamma, mean, var, out):
        r = column(self.inverse_deviation(p, var.astype(float)))
        xhat = (x - column(mean)) * r
        dy = self.slope_backward(p, dz, z)
        dgamma, dbeta = (dy * xhat).sum((0, 2)), dy.sum((0, 2))
        if p.training:
            dy = dy - self.dx_sums(p, dbeta, dgamma, xhat) / p.m
        out.dx[...] = column(gamma) * r * dy
        out.dgamma[:], out.dbeta[:] = dgamma, dbeta


@abn_verify.kernel(**CLAIMS)
class Right(Formulas):
    """A right kernel."""


@abn_verify.kernel(**CLAIMS)
class Returned:
    """A right kernel that returns its results."""

    def forward(p, x, gamma, beta, running_mean, running_var):
        mean, var = running_mean.astype(float), running_var.astype(float)
        if p.training:
            mean, var = x.mean((0, 2), dtype=float), x.var((0, 2), dtype=float)
        y = column(gamma) * (x - column(mean)) / np.sqrt(column(var) + p.eps) + column(beta)
        z = (np.where(y > 0, y, p.slope * y) + 0.0).astype(x.dtype)
        new_mean = running_mean + p.momentum * (mean - running_mean)
        new_var = running_var + p.momentum * (var * p.m / max(p.m - 1, 1) - running_var)
        statistics = dict(mean=mean, var=var, running_mean=new_mean, running_var=new_var)
        return dict(z=z, **{name: one.astype("f4") for name, one in statistics.items()}) \
            if p.training else z

    def backward(p, dz, x, z, gamma, mean, var):
        dx, dgamma, dbeta = np.empty_like(x), np.empty_like(gamma), np.empty_like(gamma)
        out = type("Out", (), dict(dx=dx, dgamma=dgamma, dbeta=dbeta))
        Formulas().backward(p, dz, x, z, gamma, mean, var, out)
        return dx, dgamma, dbeta


@abn_verify.kernel(leaves_out=("mean", "var", "running"))
class ForwardOnly:
    """A right forward, and nothing else."""

    def forward(p, x, gamma, beta):
        mean, var = x.mean((0, 2), dtype=float), x.var((0, 2), dtype=float)
        y = column(gamma) * (x - column(mean)) / np.sqrt(column(var) + p.eps) + column(beta)
        return (np.where(y > 0, y, p.slope * y) + 0.0).astype("f4")


# ---- mistakes in the numbers


@abn_verify.kernel(**CLAIMS)
class EpsOutside(Formulas):
    def inverse_deviation(self, p, var):
        with np.errstate(divide="ignore"):
            return 1 / (np.sqrt(var) + p.eps)


@abn_verify.kernel(**CLAIMS)
class MomentumSwapped(Formulas):
    def update(self, p, mean, var, running_mean, running_var):
        running_mean += (1 - p.momentum) * (mean - running_mean)
        running_var += (1 - p.momentum) * (var * p.m / (p.m - 1) - running_var)


@abn_verify.kernel(**CLAIMS)
class BiasedRunning(Formulas):
    def update(self, p, mean, var, running_mean, running_var):
        running_mean += p.momentum * (mean - running_mean)
        running_var += p.momentum * (var - running_var)


@abn_verify.kernel(**CLAIMS)
class MissingXhatTerm(Formulas):
    def dx_sums(self, p, dbeta, dgamma, xhat):
        return column(dbeta)


@abn_verify.kernel(**CLAIMS)
class SlopeForgotten(Formulas):
    def slope_backward(self, p, dz, z):
        return dz.astype(float)


@abn_verify.kernel(accumulate="f32", **{k: v for k, v in CLAIMS.items()
                                        if k not in ("accumulate", "depth")})
class ShallowClaim(Formulas):
    """Sums in single precision, one after the other, and claims a tree of them."""

    def statistics(self, p, x):
        columns = np.ascontiguousarray(np.moveaxis(x, 1, 2).reshape(-1, p.c))
        mean = np.add.accumulate(columns, axis=0)[-1] / np.float32(p.m)
        return mean, np.add.accumulate((columns - mean) ** 2, axis=0)[-1] / np.float32(p.m)


# ---- mistakes in the calls


@abn_verify.kernel(**CLAIMS)
class Raises(Formulas):
    def backward(self, p, dz, x, z, gamma, mean, var, out):
        out.dx[...] = np.ones(p.s + 1)


@abn_verify.kernel(**CLAIMS)
class Exits(Formulas):
    def backward(self, p, dz, x, z, gamma, mean, var, out):
        sys.exit(3)


@abn_verify.kernel(**CLAIMS)
class ExitsAtOnce(Formulas):
    def backward(self, p, dz, x, z, gamma, mean, var, out):
        os._exit(3)


@abn_verify.kernel(**CLAIMS)
class Crashes(Formulas):
    def backward(self, p, dz, x, z, gamma, mean, var, out):
        ctypes.string_at(0)


@abn_verify.kernel(**CLAIMS)
class NeverReturns(Formulas):
    def backward(self, p, dz, x, z, gamma, mean, var, out):
        while True:
            time.sleep(0.01)


@abn_verify.kernel(**CLAIMS)
class WritesInput(Formulas):
    def backward(self, p, dz, x, z, gamma, mean, var, out):
        super().backward(p, dz, x, z, gamma, mean, var, out)
        dz *= 2


@abn_verify.kernel(**CLAIMS)
class Promotes(Formulas):
    def forward(self, p, x, gamma, beta, running_mean, running_var, out):
        super().forward(p, x, gamma, beta, running_mean, running_var, out)
        return out.z.astype(float)


@abn_verify.kernel(**CLAIMS)
class StaleTensor(Formulas):
    """Keeps an array of forward for backward, where it is no more what it was."""

    def forward(self, p, x, gamma, beta, running_mean, running_var, out):
        super().forward(p, x, gamma, beta, running_mean, running_var, out)
        self.z = out.z

    def backward(self, p, dz, x, z, gamma, mean, var, out):
        stale = self.z if self.z.shape == z.shape else z
        super().backward(p, dz, x, stale, gamma, mean, var, out)


@abn_verify.kernel(**CLAIMS)
class LeavesDxUnwritten(Formulas):
    def backward(self, p, dz, x, z, gamma, mean, var, out):
        dx = out.dx
        out.dx = dx.copy()
        super().backward(p, dz, x, z, gamma, mean, var, out)
