"""Arrays of other kinds than NumPy's."""
import importlib.util
import unittest

import support  # noqa: F401 - sets the limits
from support import judged

import numpy as np

import abn_verify
import kernels


@unittest.skipIf(importlib.util.find_spec("torch") is None, "there is no PyTorch")
class Torch(unittest.TestCase):
    def test_a_right_kernel_passes_in_all_types_and_layouts(self):
        import torch_kernels
        result = judged(torch_kernels.Right, "Right/*ward/*")
        self.assertTrue(result, result.text)
        judged_as = {tuple(row["id"].split("/")[2:4]) for row in result.table()}
        self.assertEqual(judged_as, {(kind, layout) for kind in ("f16", "bf16", "f32", "f64")
                                     for layout in ("nchw", "nhwc")})

    def test_in_place_is_one_buffer_for_two(self):
        import torch_kernels
        result = judged(torch_kernels.InPlace, "InPlace/*ward/f32/*")
        self.assertTrue(result, result.text)
        self.assertIn("InPlace/forward/f32/nchw/alias", [row["id"] for row in result.table()])

    def test_strides_that_are_not_looked_at(self):
        import torch_kernels
        result = judged(torch_kernels.StridedReadAsDense, "*/backward/f32/*")
        layouts = {failure.id.split("/")[3] for failure in result.failures}
        self.assertEqual(layouts, {"nhwc"}, result.text)


class Dlpack(unittest.TestCase):
    def test_buffers_themselves_are_taken_by_dlpack_and_by_numpy(self):
        seen = []

        @abn_verify.kernel(arrays="dlpack", layouts=("nhwc",),
                           leaves_out=("mean", "var", "running"))
        class Takes:
            def forward(p, x, gamma, beta, z):
                given = np.from_dlpack(x)
                seen.append((given.shape, given.strides, x.shape, x.dtype))
                right = kernels.ForwardOnly.forward(p, given, np.asarray(gamma), np.asarray(beta))
                np.asarray(z)[...] = right
        result = judged(Takes, "Takes/forward/*", problem="n4c5s12,nhwc,f32,leaky_relu:0.01",
                        data="standard")
        self.assertTrue(result, result.text)
        self.assertEqual(set(seen), {((4, 5, 12), (240, 4, 20), (4, 5, 12), "f32")})


if __name__ == "__main__":
    unittest.main()
