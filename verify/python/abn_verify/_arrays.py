"""The arrays that a kernel is given and gives: views of the judge's memory in the framework that
the kernel asks for, which is imported no earlier than that."""
from __future__ import annotations

import importlib
from typing import Any, Protocol


class Buffer(Protocol):
    """A tensor of a call (the class of the extension)."""

    dtype: str
    shape: tuple[int, ...]

    def __dlpack__(self, **options: Any) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...


class WrongOutput(Exception):
    """What a kernel gave is no such output; the text is a sentence."""


class Arrays:
    """NumPy. bfloat16 needs the package ml_dtypes, of which NumPy's bfloat16 is."""

    name = "numpy"
    names = {"float16": "f16", "bfloat16": "bf16", "float32": "f32", "float64": "f64"}

    def __init__(self, device: str | None = None) -> None:
        if device is not None:
            raise ValueError(f"{self.name} has no device to choose; leave device out")
        self.numpy = importlib.import_module("numpy")

    def words(self, buffer: Buffer) -> Any:
        """A writable NumPy array of the buffer; bfloat16 as uint16."""
        return self.numpy.asarray(buffer)

    def bfloat16(self) -> Any:
        try:
            return importlib.import_module("ml_dtypes").bfloat16
        except ImportError:
            raise ImportError("NumPy has no bfloat16; pip install ml_dtypes, or leave bf16 out of "
                              "the kernel's types") from None

    def view(self, buffer: Buffer) -> Any:
        """What the kernel is given for a buffer."""
        array = self.words(buffer)
        return array.view(self.bfloat16()) if buffer.dtype == "bf16" else array

    def put(self, name: str, buffer: Buffer, value: Any) -> None:
        """Copies what the kernel returned for an output into its buffer."""
        got = self.taken(value)
        self.require(name, buffer, str(got.dtype), tuple(got.shape))
        to = self.words(buffer)
        to[...] = got.view(to.dtype).reshape(to.shape) if buffer.dtype == "bf16" \
            else got.reshape(to.shape)

    def finish(self, buffer: Buffer, view: Any) -> None:
        """After the call: what was written into `view` goes where the judge looks."""

    def scratch(self, buffer_type: str, shape: tuple[int, ...], value: float) -> Any:
        """An array of the kernel's own, for an output or an input that a call leaves out."""
        kind = self.bfloat16() if buffer_type == "bf16" else _numpy_name(buffer_type)
        return self.numpy.full(shape, value, kind)

    def taken(self, value: Any) -> Any:
        """Any array as a NumPy array."""
        return self.numpy.asarray(value)

    def require(self, name: str, buffer: Buffer, dtype: str, shape: tuple[int, ...]) -> None:
        kind = self.names.get(dtype.rsplit(".", 1)[-1], dtype)
        if kind != buffer.dtype:
            raise WrongOutput(f"gave {name} as {kind}, and it has to be {buffer.dtype}; convert it "
                              "to the type of the output")
        if [size for size in shape if size != 1] != [size for size in buffer.shape if size != 1]:
            raise WrongOutput(f"gave {name} of shape {shape}, and it has to be {buffer.shape}")


class Torch(Arrays):
    """PyTorch tensors, on the CPU or, copied there and back, on another device."""

    name = "torch"

    def __init__(self, device: str | None = None) -> None:
        self.torch = importlib.import_module("torch")
        self.device = device

    def host(self, buffer: Buffer) -> Any:
        return self.torch.utils.dlpack.from_dlpack(buffer.__dlpack__())

    def view(self, buffer: Buffer) -> Any:
        tensor = self.host(buffer)
        return tensor if self.device is None else tensor.to(self.device)

    def put(self, name: str, buffer: Buffer, value: Any) -> None:
        got = value if isinstance(value, self.torch.Tensor) else self.torch.as_tensor(value)
        self.require(name, buffer, str(got.dtype), tuple(got.shape))
        to = self.host(buffer)
        to.copy_(got.detach().reshape(to.shape))

    def finish(self, buffer: Buffer, view: Any) -> None:
        if self.device is not None:
            self.host(buffer).copy_(view)

    def scratch(self, buffer_type: str, shape: tuple[int, ...], value: float) -> Any:
        kind = getattr(self.torch, _long_name(buffer_type))
        return self.torch.full(shape, value, dtype=kind, device=self.device)


class Jax(Arrays):
    """JAX arrays: copies, as they must never change; what the kernel returns is copied back."""

    name = "jax"

    def __init__(self, device: str | None = None) -> None:
        super().__init__(device)
        self.jax_numpy = importlib.import_module("jax.numpy")

    def view(self, buffer: Buffer) -> Any:
        return self.jax_numpy.array(super().view(buffer))

    def scratch(self, buffer_type: str, shape: tuple[int, ...], value: float) -> Any:
        return self.jax_numpy.full(shape, value, _long_name(buffer_type))


class Cupy(Arrays):
    """CuPy arrays: copied to the GPU and back."""

    name = "cupy"

    def __init__(self, device: str | None = None) -> None:
        super().__init__(device)
        self.cupy = importlib.import_module("cupy")

    def view(self, buffer: Buffer) -> Any:
        return self.cupy.asarray(super().view(buffer))

    def taken(self, value: Any) -> Any:
        return self.cupy.asnumpy(value)

    def finish(self, buffer: Buffer, view: Any) -> None:
        self.words(buffer)[...] = self.cupy.asnumpy(view)

    def scratch(self, buffer_type: str, shape: tuple[int, ...], value: float) -> Any:
        return self.cupy.full(shape, value, _numpy_name(buffer_type))


class Raw(Arrays):
    """The buffers themselves, which have __dlpack__ and NumPy's __array_interface__."""

    name = "dlpack"

    def view(self, buffer: Buffer) -> Any:
        return buffer

    def scratch(self, buffer_type: str, shape: tuple[int, ...], value: float) -> Any:
        """A NumPy array, of bfloat16 its bits."""
        if buffer_type != "bf16":
            return super().scratch(buffer_type, shape, value)
        bits = int(self.numpy.float32(value).view(self.numpy.uint32)) >> 16
        return self.numpy.full(shape, bits, self.numpy.uint16)


FRAMEWORKS: dict[str, type[Arrays]] = {kind.name: kind for kind in (Arrays, Torch, Jax, Cupy, Raw)}


def _long_name(buffer_type: str) -> str:
    return {"f16": "float16", "bf16": "bfloat16", "f32": "float32", "f64": "float64"}[buffer_type]


def _numpy_name(buffer_type: str) -> str:
    return {"f16": "float16", "f32": "float32", "f64": "float64"}[buffer_type]
