"""The safetensors container, as far as the judge's files go: named arrays and a dict of texts."""
from __future__ import annotations

import json
from typing import Any

import numpy as np

_NAMES = {"f16": "F16", "bf16": "BF16", "f32": "F32", "f64": "F64"}


def write(path: str, tensors: dict[str, tuple[str, Any]], metadata: dict[str, str]) -> None:
    """`tensors` are (type, NumPy array) by name; those of bf16 are their bits as uint16."""
    header: dict[str, Any] = {"__metadata__": metadata}
    parts, end = [], 0
    for name, (kind, array) in tensors.items():
        data = np.ascontiguousarray(array).tobytes()
        header[name] = {"dtype": _NAMES[kind], "shape": list(array.shape),
                        "data_offsets": [end, end + len(data)]}
        parts.append(data)
        end += len(data)
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.writelines(parts)


def read_doubles(path: str) -> dict[str, Any]:
    """The arrays of a file that holds doubles, by name."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    header.pop("__metadata__", None)
    return {name: np.frombuffer(data[one["data_offsets"][0]:one["data_offsets"][1]], "<f8")
            .reshape(one["shape"]) for name, one in header.items()}
