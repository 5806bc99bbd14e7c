"""Reads and writes safetensors files with numpy alone.

Layout: u64 little-endian length of the header, the header (JSON: name -> dtype, shape, data_offsets), then the data.
Tensors are written in the order of the dictionary, the header padded with spaces to a multiple of 8 bytes.
"""
import json
import struct
from pathlib import Path

import numpy as np

DTYPES = {"F64": np.float64, "F32": np.float32, "I64": np.int64, "I32": np.int32, "U8": np.uint8}


def save(path, tensors: dict) -> None:
    names = {np.dtype(t): name for name, t in DTYPES.items()}
    header, offset = {}, 0
    for name, t in tensors.items():
        header[name] = {"dtype": names[t.dtype], "shape": list(t.shape), "data_offsets": [offset, offset + t.nbytes]}
        offset += t.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for t in tensors.values():
            f.write(np.ascontiguousarray(t).tobytes())


def load(path) -> dict:
    data = Path(path).read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    out = {}
    for name, d in json.loads(data[8 : 8 + length]).items():
        if name != "__metadata__":
            a, b = (8 + length + n for n in d["data_offsets"])
            out[name] = np.frombuffer(data[a:b], DTYPES[d["dtype"]]).reshape(d["shape"])
    return out
