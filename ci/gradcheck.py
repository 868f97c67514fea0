"""Times torch.autograd.gradcheck in slow mode on batch norm + leaky ReLU in float64; prints the
seconds, or why it could not.

    gradcheck.py N C H W

Slow mode finds the whole Jacobian: two forward evaluations an input. Its fast mode is no
comparison: with batch norm it passes a gradient of zeros from about 1000 elements on.
"""
import sys
import time

try:
    import torch
except ImportError:
    print("PyTorch is not installed for " + sys.executable)
    sys.exit(77)


def main():
    torch.set_num_threads(1)
    torch.manual_seed(1)
    n, c, h, w = (int(size) for size in sys.argv[1:5])
    x = torch.randn(n, c, h, w, dtype=torch.float64, requires_grad=True)
    gamma = torch.randn(c, dtype=torch.float64, requires_grad=True)
    beta = torch.randn(c, dtype=torch.float64, requires_grad=True)

    def forward(x, gamma, beta):
        y = torch.nn.functional.batch_norm(x, None, None, gamma, beta, training=True, momentum=0.1,
                                           eps=1e-5)
        return torch.nn.functional.leaky_relu(y, 0.01)

    begin = time.perf_counter()
    passed = torch.autograd.gradcheck(forward, (x, gamma, beta), fast_mode=False)
    seconds = time.perf_counter() - begin
    print(f"{seconds:.1f} s {torch.__version__} {'passed' if passed else 'failed'}")


main()
