"""Tensors of others as the runtime takes them: read where they lie, through DLPack or the buffer protocol.

An object of class View keeps whatever it was made of alive; its memory must not be used after it is gone.
"""
from __future__ import annotations

import array
import ctypes as c
import math
import sys
from typing import Any, Optional, Sequence, Tuple

from . import _abi
from ._errors import Error, Status

_CPU = 1
_BY_NAME = {name: (size, code) for name, size, code in _abi.DTYPES}
# struct's letters; 16-bit floats have none that memoryview knows: they lie in memoryviews as their bits
_LETTER = {"f32": "f", "f16": "H", "bf16": "H", "f64": "d", "i32": "i", "i64": "q", "u8": "B", "bool": "?"}
_NUMPY = {"f32": "float32", "f16": "float16", "f64": "float64", "i32": "int32", "i64": "int64", "u8": "uint8",
          "bool": "bool"}
_TORCH = {"f32": "float32", "f16": "float16", "bf16": "bfloat16", "f64": "float64", "i32": "int32", "i64": "int64",
          "u8": "uint8", "bool": "bool"}
# letters of buffers: DLPack's type code
_CODES = {"f": 2, "d": 2, "e": 2, "b": 0, "h": 0, "i": 0, "l": 0, "q": 0, "n": 0, "B": 1, "H": 1, "I": 1, "L": 1, "Q": 1,
          "N": 1, "?": 6}


class _Buffer(c.Structure):
    """Py_buffer"""

    _fields_ = [("buf", c.c_void_p), ("obj", c.c_void_p), ("len", c.c_ssize_t), ("itemsize", c.c_ssize_t),
                ("readonly", c.c_int), ("ndim", c.c_int), ("format", c.c_char_p), ("shape", c.POINTER(c.c_ssize_t)),
                ("strides", c.POINTER(c.c_ssize_t)), ("suboffsets", c.POINTER(c.c_ssize_t)),
                ("internal", c.c_void_p)]


_STRIDES_FORMAT, _WRITABLE = 0x18 | 0x4, 0x1
_get_buffer = c.pythonapi.PyObject_GetBuffer
_get_buffer.argtypes, _get_buffer.restype = [c.py_object, c.POINTER(_Buffer), c.c_int], c.c_int
_release = c.pythonapi.PyBuffer_Release
_release.argtypes, _release.restype = [c.POINTER(_Buffer)], None
_from_capsule = c.pythonapi.PyCapsule_GetPointer
_from_capsule.argtypes, _from_capsule.restype = [c.py_object, c.c_char_p], c.c_void_p


def _module(name: str) -> Any:
    """A module if somebody has imported it; this one never does."""
    return sys.modules.get(name)


def kind_of(x: object) -> str:
    """What outputs for this input are made of: "torch", "numpy" or "memoryview"."""
    torch, numpy = _module("torch"), _module("numpy")
    if torch is not None and isinstance(x, getattr(torch, "Tensor", ())):
        return "torch"
    if numpy is not None and isinstance(x, getattr(numpy, "ndarray", ())):
        return "numpy"
    return "memoryview"


class View:
    """A tensor of somebody's, as a DLTensor over the same memory. what: for messages; shape: what an array.array of as
    many elements is taken to have."""

    __slots__ = ("tensor", "_keep", "_buffer")

    def __init__(self, x: Any, what: str, shape: Optional[Sequence[int]] = None, writable: bool = False) -> None:
        self._buffer: Optional[_Buffer] = None
        self._keep: Any = x
        kind = kind_of(x)
        if kind == "numpy" and x.dtype.name == "bfloat16":
            self._from_buffer(x.view("uint16"), what, shape, writable)
            self.tensor.code = _BY_NAME["bf16"][1]
        elif kind != "numpy" and hasattr(x, "__dlpack__"):
            self._from_dlpack(x, what)
        else:
            self._from_buffer(x, what, shape, writable)

    def _from_dlpack(self, x: Any, what: str) -> None:
        try:
            device = int(x.__dlpack_device__()[0]) if hasattr(x, "__dlpack_device__") else _CPU
            if device != _CPU:
                raise ValueError(f"it has to be in CPU memory, and is on DLPack's device type {device}")
            capsule = x.__dlpack__()
        except Exception as e:
            raise Error(f"{what}: {type(x).__name__} gives no DLPack tensor: {e}", Status.TENSOR) from e
        # The capsule is not consumed: it gives the tensor back when it goes.
        self.tensor = _abi.DLTensor.from_address(_from_capsule(capsule, b"dltensor"))
        self._keep = (x, capsule)

    def _from_buffer(self, x: Any, what: str, shape: Optional[Sequence[int]], writable: bool) -> None:
        buffer = _Buffer()
        try:
            _get_buffer(x, c.byref(buffer), _STRIDES_FORMAT | (_WRITABLE if writable else 0))
        except (BufferError, TypeError, ValueError) as e:
            raise Error(f"{what}: {_article(x)} is no tensor that can be {'written' if writable else 'read'} in "
                        f"place: {e}", Status.TENSOR) from e
        self._buffer = buffer
        letter = (buffer.format or b"B").decode()
        code = _CODES.get(letter.lstrip("@=<" if sys.byteorder == "little" else "@=>"))
        if code is None:
            raise Error(f"{what}: elements of format '{letter}' are no numbers of this machine that a model takes",
                        Status.TENSOR)
        extents = [buffer.shape[i] for i in range(buffer.ndim)]
        strides = [buffer.strides[i] for i in range(buffer.ndim)]
        if any(s % buffer.itemsize for s in strides):
            raise Error(f"{what}: must be dense row-major, has strides of {strides} bytes", Status.TENSOR)
        strides = [s // buffer.itemsize for s in strides]
        if shape is not None and isinstance(x, array.array) and len(x) == math.prod(shape):
            extents, strides = list(shape), [math.prod(shape[i + 1:]) for i in range(len(shape))]
        self.tensor = make(buffer.buf, code, buffer.itemsize * 8, extents, strides)

    def __del__(self) -> None:
        if self._buffer is not None:
            _release(c.byref(self._buffer))
            self._buffer = None


def _article(x: object) -> str:
    name = type(x).__name__
    return ("an " if name[0] in "aeiouAEIOU" else "a ") + name


def make(data: Optional[int], code: int, bits: int, extents: Sequence[int], strides: Sequence[int]) -> _abi.DLTensor:
    """A DLTensor on the CPU; the arrays of extents live as long as it."""
    rank = len(extents)
    return _abi.DLTensor(data=data, device_type=_CPU, device_id=0, ndim=rank, code=code, bits=bits, lanes=1,
                         shape=(c.c_int64 * max(rank, 1))(*extents), strides=(c.c_int64 * max(rank, 1))(*strides))


def empty(kind: str, dtype: str, shape: Tuple[int, ...], what: str) -> Any:
    """A new tensor of a kind (see kind_of), its elements not set."""
    if kind == "torch":
        torch = _module("torch")
        return torch.empty(shape, dtype=getattr(torch, _TORCH[dtype]))
    if kind == "numpy":
        numpy = _module("numpy")
        if dtype in _NUMPY:
            return numpy.empty(shape, dtype=_NUMPY[dtype])
        extra = _module("ml_dtypes")
        if extra is None:
            raise Error(f"{what}: NumPy has no {dtype}; import ml_dtypes first, or give torch tensors", Status.TENSOR)
        return numpy.empty(shape, dtype=extra.bfloat16)
    return memoryview(bytearray(_BY_NAME[dtype][0] * math.prod(shape))).cast(_LETTER[dtype], shape=list(shape))
