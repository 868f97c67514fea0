"""Batch norm + leaky ReLU as Python authors write it, right, and with ten mistakes that they make.

Each of PLANTED is a function or module, the arguments of judge_autograd that go with it, and a
piece of text that a finding about it has to hold.
"""
import torch
from torch.utils.checkpoint import checkpoint

SLOPE = 0.01


class Norm(torch.autograd.Function):
    """Everything by hand; `bug` is one of the names below, or empty."""

    @staticmethod
    def forward(ctx, x, gamma, beta, running_mean, running_var, training, eps, momentum, bug):
        kind = x.dtype
        values = x
        if bug == "view_of_channels_last":  # as if memory were in the order of the shape
            values = torch.as_strided(x, x.shape, torch.empty(x.shape).stride(),
                                      x.storage_offset())
        if bug == "in_place_on_needed_input":
            ctx.save_for_backward(x, gamma, beta)
        wide = values.float()
        n, c, h, w = x.shape
        m = n * h * w
        if training:
            mean = wide.mean((0, 2, 3))
            centred = wide - mean[:, None, None]
            if bug == "masked_lanes":  # a row is padded with 0, and so is what is squared
                row = torch.nn.functional.pad(wide.flatten(2), (0, -h * w % 8))
                var = ((row - mean[:, None]) ** 2).sum((0, 2)) / m
            else:
                var = (centred ** 2).mean((0, 2, 3))
            with torch.no_grad():
                keep = 1 - momentum if bug == "momentum_other_way" else momentum
                running_mean += keep * (mean - running_mean)
                running_var += keep * (var * m / (m - 1) - running_var) if m > 1 else 0
            if bug == "biased_and_unbiased_mixed" and m > 1:
                var = var * m / (m - 1)
        else:
            mean, var = running_mean.clone(), running_var.clone()
            centred = wide - mean[:, None, None]
        r = 1 / (var.sqrt() + eps) if bug == "eps_outside" else 1 / (var + eps).sqrt()
        if bug == "in_place_on_needed_input" and kind == torch.float32:
            centred = x.sub_(mean[:, None, None])
        y = centred * (r * gamma)[:, None, None] + beta[:, None, None]
        z = torch.nn.functional.leaky_relu(y, SLOPE)
        ctx.training, ctx.bug = training, bug
        if bug == "stale_saved_tensors":
            Norm.saved = (values, gamma, mean, r, y)
        if bug != "in_place_on_needed_input":
            ctx.save_for_backward(values, gamma, beta)
        ctx.statistics = mean, r, y
        return z if bug == "dtype_promoted" else z.to(kind)

    @staticmethod
    def backward(ctx, dz):
        x, gamma, _ = ctx.saved_tensors
        mean, r, y = ctx.statistics
        if ctx.bug == "stale_saved_tensors":
            x, gamma, mean, r, y = Norm.saved
        if ctx.bug == "strided_gradient_read_as_dense":
            dz = torch.as_strided(dz, dz.shape, torch.empty(dz.shape).stride(),
                                  dz.storage_offset())
        m = x.numel() / x.shape[1]
        xhat = (x.float() - mean[:, None, None]) * r[:, None, None]
        dy = torch.where(y > 0, dz.float(), SLOPE * dz.float())
        dbeta, dgamma = dy.sum((0, 2, 3)), (dy * xhat).sum((0, 2, 3))
        if ctx.training:
            dy = dy - (dbeta / m)[:, None, None] - xhat * (dgamma / m)[:, None, None]
        dx = dy * (gamma * r)[:, None, None]
        return dx.to(x.dtype), dgamma, dbeta, None, None, None, None, None, None


def by_hand(bug):
    def norm(x, gamma, beta, running_mean, running_var, training, eps, momentum):
        return Norm.apply(x, gamma, beta, running_mean, running_var, training, eps, momentum, bug)
    norm.__name__ = bug or "by_hand"
    return norm


class Recomputed(torch.nn.Module):
    """Saves memory by computing the layer again in backward, which updates its statistics again."""

    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm2d(4)
        self.activation = torch.nn.LeakyReLU(SLOPE)

    def forward(self, x):
        return self.activation(checkpoint(self.norm, x))


LEAKY = f"leaky_relu:{SLOPE}"
TRAINING = {"types": ("f32",), "modes": ("training",)}
HAND = {"activation": LEAKY, **TRAINING}
PLANTED = {
    "masked_lanes": (by_hand("masked_lanes"), HAND, "forward/z"),
    "biased_and_unbiased_mixed": (by_hand("biased_and_unbiased_mixed"), HAND, "unbiased"),
    "eps_outside": (by_hand("eps_outside"), HAND, "eps"),
    "momentum_other_way": (by_hand("momentum_other_way"), HAND, "momentum"),
    "running_updated_twice": (Recomputed(), TRAINING, "was changed by backward"),
    "stale_saved_tensors": (by_hand("stale_saved_tensors"), HAND, "interleaved"),
    "dtype_promoted": (by_hand("dtype_promoted"), {**HAND, "types": ("bf16",)},
                       "z has the type torch.float32"),
    "view_of_channels_last": (by_hand("view_of_channels_last"), HAND,
                              "wrong with all nhwc tensors"),
    "in_place_on_needed_input": (by_hand("in_place_on_needed_input"), HAND, "x was overwritten"),
    "strided_gradient_read_as_dense": (by_hand("strided_gradient_read_as_dense"), HAND,
                                       "wrong with"),
}
