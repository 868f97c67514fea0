"""Batch norm + leaky ReLU in NumPy, and its verdict: python3 numpy_kernel.py"""
import numpy as np

import abn_verify


@abn_verify.kernel(types=("f16", "f32"), layouts=("nchw", "nhwc"),
                   activations=("identity", "leaky_relu"),
                   modes=("training", "inference", "frozen"), accumulate="f64",
                   depth=abn_verify.loop)
class NumpyKernel:
    """Batch norm + leaky ReLU in NumPy, computed in double."""

    def forward(p, x, gamma, beta, running_mean, running_var, out):
        mean, var = running_mean.astype(float), running_var.astype(float)
        if p.training:
            mean, var = x.mean((0, 2), dtype=float), x.var((0, 2), dtype=float)
            out.mean[:], out.var[:] = mean, var
            running_mean += p.momentum * (mean - running_mean)
            running_var += p.momentum * (var * p.m / (p.m - 1) - running_var)
        xhat = (x - mean[:, None]) / np.sqrt(var + p.eps)[:, None]
        y = gamma[:, None] * xhat + beta[:, None]
        out.z[...] = np.where(y > 0, y, p.slope * y) + 0.0  # +0 also for y = -0

    def backward(p, dz, x, z, gamma, mean, var, out):
        r = 1 / np.sqrt(var.astype(float) + p.eps)[:, None]
        xhat = (x.astype(float) - mean[:, None]) * r
        dy = np.where(np.signbit(z), p.slope, 1) * dz.astype(float)
        dgamma, dbeta = (dy * xhat).sum((0, 2)), dy.sum((0, 2))
        if p.training:
            dy -= (dbeta[:, None] + xhat * dgamma[:, None]) / p.m
        out.dx[...] = gamma[:, None] * r * dy
        out.dgamma[:], out.dbeta[:] = dgamma, dbeta


if __name__ == "__main__":
    print(abn_verify.judge(NumpyKernel))
