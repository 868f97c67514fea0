"""Batch norm + leaky ReLU in NumPy, judged: the smallest kernel to copy."""
import numpy as np

import abn_verify


@abn_verify.kernel(depth=lambda p: abn_verify.pairwise(p) + p.n)
class BatchNorm:
    def forward(p, x, gamma, beta, running_mean, running_var):
        mean, var = x.mean((0, 2)), x.var((0, 2))
        y = gamma[:, None] * ((x - mean[:, None]) / np.sqrt(var + x.dtype.type(p.eps))[:, None]) \
            + beta[:, None]
        z = np.where(y < 0, x.dtype.type(p.slope) * y, y)
        q = x.dtype.type(p.momentum)
        unbiased = var * x.dtype.type(p.m / max(p.m - 1, 1))
        return (z, mean, var, (1 - q) * running_mean + q * mean, (1 - q) * running_var + q * unbiased)

    def backward(p, dz, x, gamma, beta, mean, var):
        r = 1 / np.sqrt(var + x.dtype.type(p.eps))
        xhat = (x - mean[:, None]) * r[:, None]
        y = gamma[:, None] * xhat + beta[:, None]
        dy = np.where(y < 0, x.dtype.type(p.slope) * dz, dz)
        dbeta, dgamma = dy.sum((0, 2)), (dy * xhat).sum((0, 2))
        m = x.dtype.type(p.m)
        return ((gamma * r)[:, None] * (dy - (dbeta / m)[:, None] - xhat * (dgamma / m)[:, None]),
                dgamma, dbeta)


if __name__ == "__main__":
    result = abn_verify.judge(BatchNorm, seconds=20, seed=1)
    print(result)
    assert result
