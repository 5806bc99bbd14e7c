"""fovea.compile: the compiler in this process, through libfovea.so (compiler/api/fovea_compiler.h)."""
from __future__ import annotations

import ctypes as c
import json
import os
import threading
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from . import _abi, _tensors
from ._errors import Error, Note, SpecError, Status
from ._library import Path
from ._model import Handle, Model, bind, failure, options

_INTERFACE = 1


class _Extent(c.Structure):
    _fields_ = [("axis", c.c_char_p), ("extent", c.c_int64)]


class _Shape(c.Structure):
    _fields_ = [("name", c.c_char_p), ("dtype", c.c_int), ("rank", c.c_int32), ("shape", c.POINTER(c.c_int64))]


class _Options(c.Structure):
    """fovea_compile_options"""

    _fields_ = [("bytes", c.c_size_t), ("variant", c.c_char_p), ("config", c.c_char_p),
                ("settings", c.POINTER(c.c_char_p)), ("extents", c.POINTER(_Extent)), ("inputs", c.POINTER(_Shape)),
                ("params", c.POINTER(_Shape)), ("n_settings", c.c_int32), ("n_extents", c.c_int32),
                ("n_inputs", c.c_int32), ("n_params", c.c_int32), ("weights", c.c_char_p), ("backend", c.c_char_p),
                ("target", c.c_char_p), ("device", c.c_char_p), ("dtype", c.c_char_p), ("cache", c.c_char_p),
                ("records", c.c_char_p), ("threads", c.c_int32), ("specs", c.c_char_p)]


class _Remark(c.Structure):
    """fovea_remark"""

    _fields_ = [("note", c.c_bool), ("code", c.c_int32), ("line", c.c_int32), ("file", c.c_char_p),
                ("text", c.c_char_p), ("remedy", c.c_char_p)]


class _Compiler:
    """The functions of fovea_compiler.h."""

    def __init__(self, shared: c.CDLL) -> None:
        get, handle, chosen = _abi.function, c.c_void_p, c.POINTER(_Options)
        if get(shared, "fovea_compiler_interface", c.c_int32)() < _INTERFACE:
            raise AttributeError("an older interface")
        self.runtime = _abi.Runtime.of_compiler(shared)
        self.version = get(shared, "fovea_compiler_version", c.c_char_p)
        self.text = get(shared, "fovea_compile_text", handle, c.c_char_p, c.c_char_p, c.c_size_t, chosen)
        self.file = get(shared, "fovea_compile_file", handle, c.c_char_p, chosen)
        self.dispose = get(shared, "fovea_compilation_dispose", None, handle)
        self.ok = get(shared, "fovea_compilation_ok", c.c_bool, handle)
        self.remarks = get(shared, "fovea_compilation_remarks", c.c_int32, handle)
        self.remark = get(shared, "fovea_compilation_remark", _Remark, handle, c.c_int32)
        self.preprocess = get(shared, "fovea_compilation_preprocess", c.c_char_p, handle)
        self.classes = get(shared, "fovea_compilation_classes", c.c_char_p, handle)
        self.tuned = get(shared, "fovea_compilation_tuned", c.c_char_p, handle)
        self.target = get(shared, "fovea_compilation_target", c.c_char_p, handle)
        self.load = get(shared, "fovea_compilation_load", c.c_int, handle, c.POINTER(_abi.Options),
                        c.POINTER(c.c_void_p), c.POINTER(_abi.ErrorText))


_found: Optional[_Compiler] = None
_lock = threading.Lock()


def _places() -> List[str]:
    """Where libfovea.so is looked for: what FOVEA_LIBRARY names and nothing else, or beside the module, in the build
    folder of the source tree that the module lies in, and where the system looks."""
    named = os.environ.get("FOVEA_LIBRARY")
    if named:
        return [named]
    here = os.path.dirname(os.path.realpath(__file__))
    root = os.path.dirname(os.path.dirname(os.path.dirname(here)))
    beside = [os.path.join(here, "libfovea.so"), os.path.join(root, "build", "libfovea.so")]
    return [p for p in beside if os.path.exists(p)] + ["libfovea.so"]


def _compiler() -> _Compiler:
    global _found
    with _lock:
        if _found is None:
            place = _places()[0]
            try:
                _found = _Compiler(c.CDLL(place))
            except OSError as e:
                raise Error(f"the compiler cannot be loaded: {e} (FOVEA_LIBRARY names libfovea.so; ./x build makes it)",
                            Status.FILE, file=place) from e
            except AttributeError as e:
                raise Error(f"this is no libfovea.so that this module knows: {e}", Status.FORMAT, file=place) from e
        return _found


def compile(spec: "str | os.PathLike[str]", *, shape: Optional[Mapping[str, int]] = None,
            inputs: Optional[Mapping[str, Any]] = None, weights: "Optional[Path | Mapping[str, Any]]" = None,
            config: Optional[Mapping[str, Any]] = None, variant: Optional[str] = None, dtype: str = "f32",
            backend: Optional[str] = None, target: Optional[str] = None, device: Optional[str] = None,
            threads: int = 0, tuned: "bool | Path" = True, name: str = "spec", **settings: Any) -> Model:
    """A model from the text of a spec (docs/language.md), or from its file if `spec` is a path object.

    shape:    extents of the axes that the spec's inputs leave open: {"n": 64}
    inputs:   instead, tensors for all inputs by name, whose shapes fill open extents; they are not run
    weights:  a file of parameters (safetensors or torch.save), or a mapping of tensors by name, read in place
    config:   the spec's table `config`; variant: its global of that name
    settings: values over `config`; the spec has to read every one
    dtype:    how floats lie in memory between kernels: "f32", "bf16", "f16"
    backend, target, device: "cpu" or "opencl", and what of it; None: this processor
    threads:  how many share the work of a call; 0: as many as this process may use
    tuned:    use the tuning records of the cache; or a file of them; what came of it is in `manifest["tuned"]`
    name:     what messages call the text

    Raises SpecError for what is wrong in the text, with its line. Several threads may compile at the same time.
    """
    compiler = _compiler()
    o, keep = _options(shape, inputs, weights, config, settings)
    chosen, source = options(threads), None
    o.threads, records = threads, ("" if tuned else None) if isinstance(tuned, bool) else os.fspath(tuned)
    for key, value in (("variant", variant), ("backend", backend), ("target", target), ("device", device),
                       ("dtype", dtype), ("cache", _cache()), ("records", records), ("specs", os.environ.get("FOVEA_SPECS"))):
        setattr(o, key, None if value is None else os.fsencode(value))
    if isinstance(spec, str):
        source, text = spec, spec.encode()
        pointer = compiler.text(name.encode(), text, len(text), c.byref(o))
    else:
        name = os.path.splitext(os.path.basename(spec))[0]
        pointer = compiler.file(os.fsencode(spec), c.byref(o))
    if not pointer:
        raise Error("no memory to compile in", Status.MEMORY, "compiler")
    del keep
    done = Handle(pointer, compiler.dispose)
    if not compiler.ok(pointer):
        raise _error(compiler, pointer, source)
    return _load(compiler, done, chosen, weights, name)


def _load(compiler: _Compiler, done: Handle, chosen: _abi.Options, weights: Any, name: str) -> Model:
    out, error = c.c_void_p(), _abi.ErrorText()
    if compiler.load(done.pointer, c.byref(chosen), c.byref(out), c.byref(error)):
        raise failure(error)
    assert out.value is not None
    keep: List[Any] = [done]
    handle = Handle(out.value, compiler.runtime.dispose, keep)
    preprocess, classes = compiler.preprocess(done.pointer), compiler.classes(done.pointer)
    model = Model(compiler.runtime, handle, {
        "name": name, "model": name, "target": compiler.target(done.pointer).decode(),
        "tuned": compiler.tuned(done.pointer).decode(), "fovea": compiler.version().decode(), "preprocess": json.loads(preprocess) if preprocess else None,
        "classes": json.loads(classes) if classes else None})
    if isinstance(weights, Mapping):
        keep.append(bind(compiler.runtime, out.value, weights, model.parameters))
    elif weights is None and model.parameters:
        raise Error(f"{name} has {len(model.parameters)} parameters ({model.parameters[0].name}, …): say weights=",
                    Status.WEIGHTS)
    return model


def _cache() -> Optional[str]:
    """The folder that the command line keeps compiled code in: FOVEA_CACHE, none if that is empty."""
    named, home = os.environ.get("FOVEA_CACHE"), os.environ.get("HOME")
    if named is not None:
        return named or None
    return os.path.join(home, ".cache", "fovea") if home else None


def _options(shape: Optional[Mapping[str, int]], inputs: Optional[Mapping[str, Any]], weights: Any,
             config: Optional[Mapping[str, Any]], settings: Mapping[str, Any]) -> Tuple[_Options, Any]:
    """The options with what has a length, and what has to live as long."""
    extents = [_Extent(axis.encode(), _extent(axis, n)) for axis, n in (shape or {}).items()]
    given, params = _shapes(inputs, "input"), _shapes(weights if isinstance(weights, Mapping) else None, "parameter")
    try:
        words = [f"{key}={json.dumps(value)}".encode() for key, value in settings.items()]
        table = None if config is None else json.dumps(dict(config)).encode()
    except (TypeError, ValueError) as e:
        raise Error(f"config and settings are what JSON can say: {e}", Status.ARGUMENT) from e
    path = None if weights is None or isinstance(weights, Mapping) else os.fsencode(weights)
    o = _Options(bytes=c.sizeof(_Options), config=table, weights=path,
                 settings=(c.c_char_p * max(len(words), 1))(*words), n_settings=len(words),
                 extents=(_Extent * max(len(extents), 1))(*extents), n_extents=len(extents),
                 inputs=(_Shape * max(len(given), 1))(*given), n_inputs=len(given),
                 params=(_Shape * max(len(params), 1))(*params), n_params=len(params))
    return o, (words, extents, given, params)


def _extent(axis: str, n: int) -> int:
    try:
        extent = int(n.__index__())
    except AttributeError:
        extent = 0
    if not 1 <= extent < 1 << 31:
        raise Error(f"shape: the axis {axis} has a whole number of at least 1, not {n!r}", Status.ARGUMENT)
    return extent


def _shapes(tensors: Optional[Mapping[str, Any]], what: str) -> List[_Shape]:
    out: List[_Shape] = []
    for name, x in (tensors or {}).items():
        view = _tensors.View(x, f'{what} "{name}"')
        t = view.tensor
        dtype = next((i for i, (_, size, code) in enumerate(_abi.DTYPES) if (code, size * 8) == (t.code, t.bits)), None)
        if t.ndim > _abi.MAX_RANK or (dtype is None and what == "input"):
            raise Error(f'{what} "{name}": no model takes a tensor of this type', Status.TENSOR)
        if dtype is not None:               # a checkpoint holds what no model asks for
            out.append(_Shape(name.encode(), dtype, t.ndim, (c.c_int64 * max(t.ndim, 1))(*t.shape[: t.ndim])))
    return out


def _error(compiler: _Compiler, pointer: int, source: Optional[str]) -> Error:
    """The first error with its notes, and how many more there are."""
    remarks = [compiler.remark(pointer, i) for i in range(compiler.remarks(pointer))]
    if not remarks:
        return Error("the compiler failed and does not say why", layer="compiler")
    first, notes = remarks[0], []
    for r in remarks[1:]:
        if not r.note:
            break
        notes.append(Note(r.text.decode(errors="replace"), _place(r), r.line or None))
    more = sum(not r.note for r in remarks) - 1
    text, file = first.text.decode(errors="replace"), _place(first)
    code = f"E{first.code:04d}"
    if file is None:                        # of what was asked for, not of the text
        return Error(text + "".join(f"\n  {n.text}" for n in notes) + f" [{code}]", None, "compiler", file)
    lines = source.splitlines() if source is not None else _read(file)
    line = lines[first.line - 1] if 0 < first.line <= len(lines) else None
    return SpecError(text, file, first.line or None, code, line, notes, first.remedy.decode(), more)


def _place(r: _Remark) -> Optional[str]:
    return r.file.decode(errors="replace") or None if r.file else None


def _read(path: Optional[str]) -> Sequence[str]:
    try:
        with open(path or "", encoding="utf-8", errors="replace") as f:
            return f.read().splitlines()
    except OSError:
        return ()
