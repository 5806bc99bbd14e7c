"""The structs of the runtime's headers (dlpack.h, program.h, fovea.h, library.h), field by field, for ctypes."""
from __future__ import annotations

import ctypes as c
from typing import Any, Tuple

MAX_RANK = 16
LIBRARY_VERSION = 5

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

    _fields_ = [("threads", c.c_int32), ("check", c.c_bool), ("bytes", c.c_uint16), ("memory", c.c_void_p),
                ("memory_bytes", c.c_int64), ("parallel", c.c_void_p), ("parallel_user", c.c_void_p),
                ("unchecked", c.c_bool), ("n_extents", c.c_int32), ("extents", c.POINTER(c.c_int64)),
                ("backend", c.c_int), ("device", c.c_char_p), ("reserved", c.c_int64 * 5)]


class NamedTensor(c.Structure):
    """fovea_named_tensor"""

    _fields_ = [("name", c.c_char_p), ("tensor", DLTensor)]


_ERROR, _MODEL = c.POINTER(ErrorText), c.c_void_p
LOAD = c.CFUNCTYPE(c.c_int, c.POINTER(Options), c.POINTER(c.c_void_p), _ERROR)
OPEN = c.CFUNCTYPE(c.c_int, c.c_char_p, c.POINTER(Options), c.POINTER(c.c_void_p), _ERROR)
BIND_FILE = c.CFUNCTYPE(c.c_int, _MODEL, c.c_void_p, _ERROR)
BIND = c.CFUNCTYPE(c.c_int, _MODEL, c.c_void_p, c.c_int32, _ERROR)
RUN = c.CFUNCTYPE(c.c_int, _MODEL, c.c_void_p, c.c_int32, c.c_void_p, c.c_int32, _ERROR)
SHARE = c.CFUNCTYPE(c.c_int, _MODEL, c.POINTER(Options), c.POINTER(c.c_void_p), _ERROR)
DISPOSE = c.CFUNCTYPE(None, c.c_void_p)
FIT = c.CFUNCTYPE(c.c_int, _MODEL, c.c_void_p, c.c_int32, _ERROR)
THREADS = c.CFUNCTYPE(c.c_int32, _MODEL)
BACKEND = c.CFUNCTYPE(c.c_char_p, _MODEL)
ARRAY = c.CFUNCTYPE(c.POINTER(Array), _MODEL, c.c_int32)
OPEN_FILE = c.CFUNCTYPE(c.c_int, c.c_char_p, c.POINTER(c.c_void_p), _ERROR)


class Description(c.Structure):
    """fovea_description"""

    _fields_ = [("version", c.c_uint32), ("bytes", c.c_uint32), ("name", c.c_char_p), ("manifest", c.c_char_p),
                ("program", c.c_void_p), ("load", LOAD), ("bind", BIND_FILE), ("open", OPEN), ("run", c.c_void_p),
                ("workspace_bytes", c.c_void_p), ("selftest", c.c_void_p), ("open_memory", c.c_void_p),
                ("share", SHARE), ("dispose", DISPOSE), ("input", ARRAY), ("output", ARRAY), ("param", ARRAY),
                ("threads", THREADS), ("run_tensors", RUN), ("bind_tensors", BIND), ("measure", c.c_void_p),
                ("check_guards", c.c_void_p), ("safetensors_open", OPEN_FILE), ("safetensors_close", DISPOSE),
                ("resize", c.c_void_p), ("fit", FIT), ("extents", c.c_void_p), ("backend", BACKEND)]


def function(shared: c.CDLL, name: str, result: Any, *arguments: Any) -> Any:
    """A function by its name; AttributeError if it is not there."""
    found = getattr(shared, name)
    found.restype, found.argtypes = result, list(arguments)
    return found


class Runtime:
    """The functions that run models: those of a library (its description lists them), or of the compiler's library."""

    def __init__(self, run: Any, bind: Any, bind_file: Any, share: Any, dispose: Any, threads: Any, arrays: Any,
                 open_file: Any, close_file: Any, fit: Any, backend: Any) -> None:
        self.run, self.bind, self.bind_file, self.share, self.dispose = run, bind, bind_file, share, dispose
        self.threads, self.arrays, self.open_file, self.close_file = threads, arrays, open_file, close_file
        self.fit, self.backend = fit, backend

    @classmethod
    def of_library(cls, d: Description) -> "Runtime":
        return cls(d.run_tensors, d.bind_tensors, d.bind, d.share, d.dispose, d.threads, (d.input, d.output, d.param),
                   d.safetensors_open, d.safetensors_close, d.fit, d.backend)

    @classmethod
    def of_compiler(cls, shared: c.CDLL) -> "Runtime":
        """AttributeError if it lacks one."""
        def get(name: str, kind: Any) -> Any:
            return kind((name, shared))

        return cls(get("fovea_model_run", RUN), get("fovea_model_bind", BIND), get("fovea_model_bind_file", BIND_FILE),
                   get("fovea_model_share", SHARE), get("fovea_model_dispose", DISPOSE),
                   get("fovea_model_threads", THREADS),
                   tuple(get(f"fovea_model_{what}", ARRAY) for what in ("input", "output", "param")),
                   get("fovea_safetensors_open", OPEN_FILE), get("fovea_safetensors_close", DISPOSE),
                   get("fovea_model_fit", FIT), get("fovea_model_backend", BACKEND))
