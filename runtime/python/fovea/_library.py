"""fovea.load: libraries that `fovea build` and `fovea compile` have made."""
from __future__ import annotations

import ctypes as c
import json
import os
import struct
import tempfile
import threading
from typing import Any, Dict, Mapping, Optional, Tuple, Union

from . import _abi
from ._errors import Error, Status
from ._model import Handle, Model, bind, failure, options, tensors_of

Path = Union[str, "os.PathLike[str]"]
_IMAGES = (b"FOVEAIMG", b"FOVEASET")            # how the weights of fovea build begin
_opened: Dict[str, Tuple[int, int, int]] = {}
_lock = threading.Lock()


def load(path: Path, weights: "Optional[Path | Mapping[str, Any]]" = None, threads: int = 0,
         extents: Optional[Mapping[str, int]] = None, backend: str = "auto",
         device: Optional[Union[int, str]] = None) -> Model:
    """A model from its library NAME.so.

    weights: the file NAME.weights that was built with the library; or a safetensors checkpoint by the published names;
             or a mapping of tensors by these names (a state_dict), read in place. None: those inside the library, else
             NAME.weights beside it.
    threads: how many share the work of a call; 0: as many as this process may use.
    extents: of a library of several shapes: the largest that memory is made ready for, by name ({"b": 4}); None: all.
    backend: of a library with OpenCL programs: "cpu", "opencl", or "auto": a GPU if there is one that answers right, else
             the processor; `Model.backend` says which, and why.
    device:  of OpenCL, its number or a part of its name; None: any.
    """
    path = os.fspath(path)
    shared = _open(path)
    try:
        description = _abi.Description.in_dll(shared, "fovea_library")
    except ValueError as e:
        raise Error("this is no library of fovea build or fovea compile, or of a version before 0.1.0", Status.FORMAT,
                    file=path) from e
    if description.version < _abi.LIBRARY_VERSION or description.bytes < c.sizeof(_abi.Description):
        raise Error(f"the library's description is of version {description.version}, {_abi.LIBRARY_VERSION} is needed: build it again",
                    Status.FORMAT, file=path)
    runtime = _abi.Runtime.of_library(description)
    manifest = json.loads(description.manifest)
    if weights is None and description.open and not manifest["weights"]["inside"]:
        beside = os.path.join(os.path.dirname(path), manifest["name"] + ".weights")
        weights = beside if os.path.exists(beside) else None
    chosen = options(threads, extents, manifest, backend, device)
    return Model(runtime, _ready(description, runtime, manifest, weights, chosen, path), manifest)


def _ready(d: _abi.Description, runtime: _abi.Runtime, manifest: Dict[str, Any], weights: Any,
           chosen: _abi.Options, path: str) -> Handle:
    out, error, keep = c.c_void_p(), _abi.ErrorText(), None
    file = None if weights is None or isinstance(weights, Mapping) else os.fspath(weights)
    if d.open and (_is_image(file) if file is not None else weights is None and manifest["weights"]["inside"]):
        if d.open(None if file is None else os.fsencode(file), c.byref(chosen), c.byref(out), c.byref(error)):
            raise failure(error, file or path)
        assert out.value is not None
        return Handle(out.value, runtime.dispose)
    if d.load(c.byref(chosen), c.byref(out), c.byref(error)):
        raise failure(error, path)
    assert out.value is not None
    try:
        params = tensors_of(runtime, out.value, 2)
        if isinstance(weights, Mapping):
            keep = bind(runtime, out.value, weights, params)
        elif file is not None:
            keep = _bind_file(runtime, out.value, file)
        elif params:
            raise Error(f"it has {len(params)} parameters and no weights inside, and {manifest['name']}.weights is not "
                        "beside it: say weights=", Status.WEIGHTS, file=path)
    except BaseException:
        runtime.dispose(out)
        raise
    return Handle(out.value, runtime.dispose, keep)


def _is_image(path: str) -> bool:
    try:
        with open(path, "rb") as f:
            return f.read(8) in _IMAGES
    except OSError as e:
        raise Error(f"the weights cannot be read: {e.strerror}", Status.FILE, file=path) from e


def _bind_file(runtime: _abi.Runtime, model: int, path: str) -> Handle:
    file, error = c.c_void_p(), _abi.ErrorText()
    if runtime.open_file(os.fsencode(path), c.byref(file), c.byref(error)):
        raise failure(error, path)
    assert file.value is not None
    handle = Handle(file.value, runtime.close_file)
    if runtime.bind_file(model, file, c.byref(error)):
        raise failure(error, path)
    return handle


def _check_whole(path: str) -> Tuple[int, int, int]:
    """The system maps a library that is cut without complaint, and the process ends when it touches what is not there.
    What identifies the file."""
    try:
        with open(path, "rb") as f:
            head, size, status = f.read(64), f.seek(0, os.SEEK_END), os.fstat(f.fileno())
    except OSError as e:
        raise Error(f"the library cannot be read: {e.strerror}", Status.FILE, file=path) from e
    if len(head) < 64 or head[:5] != b"\x7fELF\x02" or head[5] not in (1, 2):
        raise Error("this is no shared library of a 64-bit system", Status.FORMAT, file=path)
    order = "<" if head[5] == 1 else ">"
    (sections,) = struct.unpack(order + "Q", head[40:48])
    each, count = struct.unpack(order + "HH", head[58:62])
    if sections + each * count > size:
        raise Error(f"the library is cut: it has {size} bytes of at least {sections + each * count}", Status.FORMAT,
                    file=path)
    return status.st_dev, status.st_ino, status.st_mtime_ns


def _open(path: str) -> c.CDLL:
    """The loader remembers libraries by their names: one that was built anew comes under another."""
    identity, whole = _check_whole(path), os.path.realpath(path)
    try:
        with _lock:
            known = _opened.setdefault(whole, identity)
            if known == identity:
                return c.CDLL(whole)
            if known[:2] == identity[:2]:
                raise Error("the library was overwritten in place while this process uses it: start another",
                            Status.STATE, file=path)
            with tempfile.TemporaryDirectory() as folder:
                link = os.path.join(folder, os.path.basename(whole))
                os.symlink(whole, link)
                return c.CDLL(link)
    except OSError as e:
        raise Error(f"the system does not load the library: {e}", Status.PROGRAM, file=path) from e
