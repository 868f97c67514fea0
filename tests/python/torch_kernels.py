"""A right kernel of PyTorch tensors, in all types and both layouts, and what is easily wrong
there."""
import torch

import abn_verify

CLAIMS = dict(arrays="torch", types=("f16", "bf16", "f32", "f64"), layouts=("nchw", "nhwc"),
              activations=("identity", "leaky_relu"), accumulate="f64", depth=abn_verify.loop)


def column(vector):
    return vector.double()[:, None]


class Formulas:
    def dense(self, tensor):
        return tensor

    def forward(self, p, x, gamma, beta, running_mean, running_var, out):
        wide = x.double()
        mean = wide.mean((0, 2))  # var_mean goes through the samples once, by Welford's updates
        var = ((wide - mean[:, None]) ** 2).mean((0, 2))
        out.mean.copy_(mean), out.var.copy_(var)
        running_mean.lerp_(mean.to(running_mean.dtype), p.momentum)
        running_var.lerp_((var * p.m / (p.m - 1)).to(running_var.dtype), p.momentum)
        y = column(gamma) * ((wide - mean[:, None]) / torch.sqrt(var + p.eps)[:, None]) + column(
            beta)
        out.z.copy_(torch.where(y > 0, y, p.slope * y) + 0.0)

    def backward(self, p, dz, x, z, gamma, mean, var, out):
        r = 1 / torch.sqrt(column(var) + p.eps)
        xhat = (x.double() - column(mean)) * r
        dy = self.dense(dz).double()
        dy = torch.where(torch.signbit(z), p.slope * dy, dy)  # of two scalars it would be f32
        dgamma, dbeta = (dy * xhat).sum((0, 2)), dy.sum((0, 2))
        out.dx.copy_(column(gamma) * r * (dy - (dbeta[:, None] + xhat * dgamma[:, None]) / p.m))
        out.dgamma.copy_(dgamma), out.dbeta.copy_(dbeta)


# lerp_ rounds the running statistics in the type of the parameters.
@abn_verify.kernel(**{**CLAIMS, "accumulate": lambda p: p.param_type})
class Right(Formulas):
    """Batch norm + leaky ReLU of PyTorch tensors."""


@abn_verify.kernel(**{**CLAIMS, "accumulate": lambda p: p.param_type})
class StridedReadAsDense(Formulas):
    def dense(self, tensor):
        return tensor.as_strided(tensor.shape, torch.empty(tensor.shape).stride())


@abn_verify.kernel(z_may_alias_x=True, dx_may_alias_dz=True, **{
    **CLAIMS, "accumulate": lambda p: p.param_type, "types": ("f32",)})
class InPlace(Formulas):
    """The same, which may be given one buffer for x and z, and for dz and dx."""
