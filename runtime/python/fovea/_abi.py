"""The structs of the runtime's headers (dlpack.h, program.h, fovea.h, library.h), field by field, for ctypes."""
from __future__ import annotations

import ctypes as c
from typing import Any, Tuple

MAX_RANK = 16
LIBRARY_VERSION = 1

# fovea_dtype: name, bytes of an element, DLPack's type code
DTYPES: Tuple[Tuple[str, int, int], ...] = (
    ("f32", 4, 2), ("f16", 2, 2), ("bf16", 2, 4), ("f64", 8, 2), ("i32", 4, 0), ("i64", 8, 0), ("u8", 1, 1),
    ("bool", 1, 6))


class DLTensor(c.Structure):
    _fields_ = [("data", c.c_void_p), ("device_type", c.c_int32), ("device_id", c.c_int32), ("ndim", c.c_int32),
                ("code", c.c_uint8), ("bits", c.c_uint8), ("lanes", c.c_uint16),
                ("shape", c.POINTER(c.c_int64)), ("strides", c.POINTER(c.c_int64)), ("byte_offset", c.c_uint64)]


class Array(c.Structure):
    """fovea_array"""

    _fields_ = [("name", c.c_char_p), ("dtype", c.c_int), ("place", c.c_int), ("rank", c.c_int32),
                ("shape", c.c_int64 * MAX_RANK), ("offset", c.c_int64), ("bytes", c.c_int64), ("data", c.c_void_p),
                ("index_bound", c.c_int64)]


class ErrorText(c.Structure):
    """fovea_error"""

    _fields_ = [("status", c.c_int), ("text", c.c_char * 1024)]


class Options(c.Structure):
    """fovea_options"""

    _fields_ = [("threads", c.c_int32), ("check", c.c_bool), ("memory", c.c_void_p), ("memory_bytes", c.c_int64),
                ("parallel", c.c_void_p), ("parallel_user", c.c_void_p)]


class NamedTensor(c.Structure):
    """fovea_named_tensor"""

    _fields_ = [("name", c.c_char_p), ("tensor", DLTensor)]


LOAD = c.CFUNCTYPE(c.c_int, c.POINTER(Options), c.POINTER(c.c_void_p), c.POINTER(ErrorText))
OPEN = c.CFUNCTYPE(c.c_int, c.c_char_p, c.POINTER(Options), c.POINTER(c.c_void_p), c.POINTER(ErrorText))


class Description(c.Structure):
    """fovea_description"""

    _fields_ = [("version", c.c_uint32), ("bytes", c.c_uint32), ("name", c.c_char_p), ("manifest", c.c_char_p),
                ("program", c.c_void_p), ("load", LOAD), ("bind", c.c_void_p), ("open", OPEN), ("run", c.c_void_p)]


class Runtime:
    """The functions of fovea.h and safetensors.h that a shared object carries; AttributeError if it lacks one."""

    def __init__(self, shared: c.CDLL) -> None:
        error, model = c.POINTER(ErrorText), c.c_void_p
        self.run = self._get(shared, "fovea_model_run", c.c_int, model, c.c_void_p, c.c_int32, c.c_void_p, c.c_int32,
                             error)
        self.bind = self._get(shared, "fovea_model_bind", c.c_int, model, c.c_void_p, c.c_int32, error)
        self.bind_file = self._get(shared, "fovea_model_bind_file", c.c_int, model, c.c_void_p, error)
        self.share = self._get(shared, "fovea_model_share", c.c_int, model, c.POINTER(Options), c.POINTER(c.c_void_p),
                               error)
        self.dispose = self._get(shared, "fovea_model_dispose", None, model)
        self.threads = self._get(shared, "fovea_model_threads", c.c_int32, model)
        self.arrays = tuple(self._get(shared, f"fovea_model_{what}", c.POINTER(Array), model, c.c_int32)
                            for what in ("input", "output", "param"))
        self.open_file = self._get(shared, "fovea_safetensors_open", c.c_int, c.c_char_p, c.POINTER(c.c_void_p), error)
        self.close_file = self._get(shared, "fovea_safetensors_close", None, c.c_void_p)

    @staticmethod
    def _get(shared: c.CDLL, name: str, result: Any, *arguments: Any) -> Any:
        function = getattr(shared, name)
        function.restype, function.argtypes = result, list(arguments)
        return function
