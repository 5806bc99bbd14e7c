"""A model that is ready to run, whoever made it: a compiled library or the compiler in this process."""
from __future__ import annotations

import ctypes as c
import os
import threading
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from . import _abi, _tensors
from ._errors import Error, Status


class TensorInfo(NamedTuple):
    """A tensor that a model takes or gives. index_bound: elements lie in 0..index_bound-1; 0: any value."""

    name: str
    dtype: str
    shape: Tuple[int, ...]
    index_bound: int = 0


def failure(error: _abi.ErrorText, file: Optional[str] = None) -> Error:
    """What the runtime has written into a fovea_error, as an exception."""
    return Error(error.text.decode(errors="replace"), error.status, "runtime", file)


class Handle:
    """A C object that is given back when nobody uses it any more; `keep`: what it needs as long."""

    __slots__ = ("pointer", "_dispose", "_keep", "pid")

    def __init__(self, pointer: int, dispose: Callable[[int], None], keep: Any = None) -> None:
        self.pointer, self._dispose, self._keep, self.pid = pointer, dispose, keep, os.getpid()

    def __del__(self) -> None:
        if os.getpid() == self.pid:         # threads do not survive a fork
            self._dispose(self.pointer)


BACKENDS = ("auto", "cpu", "opencl")


def options(threads: int, extents: Optional[Mapping[str, int]] = None, manifest: Optional[Dict[str, Any]] = None,
            backend: str = "auto", device: Optional[Union[int, str]] = None) -> _abi.Options:
    """extents: by name, of a library of several shapes: the largest that memory is made ready for."""
    if not isinstance(threads, int) or not 0 <= threads <= 0x7FFFFFFF:
        raise Error(f"threads must be a whole number, 0 for as many as there are, not {threads!r}", Status.ARGUMENT)
    if backend not in BACKENDS:
        raise Error(f"backend must be one of {', '.join(BACKENDS)}, not {backend!r}", Status.ARGUMENT)
    chosen = _abi.Options(threads=threads, bytes=c.sizeof(_abi.Options), backend=BACKENDS.index(backend),
                          device=None if device is None else os.fsencode(str(device)))
    if extents is not None:
        known = [e["name"] for e in (manifest or {}).get("extents", [])]
        if sorted(extents) != sorted(known):
            raise Error(f"extents must name {', '.join(known) or 'nothing: the library has one shape'}",
                        Status.ARGUMENT)
        chosen.extents, chosen.n_extents = (c.c_int64 * max(len(known), 1))(*(extents[k] for k in known)), len(known)
    return chosen


def bind(runtime: _abi.Runtime, model: int, weights: Mapping[str, Any], params: Sequence[TensorInfo]) -> Any:
    """Binds tensors by name; gives what has to live as long as the model. Tensors that it does not name are ignored."""
    views = {p.name: _tensors.View(weights[p.name], f'parameter "{p.name}"', p.shape)
             for p in params if p.name in weights}
    names = [name.encode() for name in views]
    named = (_abi.NamedTensor * max(len(views), 1))()
    for slot, name, view in zip(named, names, views.values()):
        slot.name, slot.tensor = name, view.tensor
    error = _abi.ErrorText()
    if runtime.bind(model, named, len(views), c.byref(error)):
        raise failure(error)
    return views, names, named


def tensors_of(runtime: _abi.Runtime, model: int, which: int) -> Tuple[TensorInfo, ...]:
    """which: 0 inputs, 1 outputs, 2 parameters."""
    found: List[TensorInfo] = []
    while True:
        at = runtime.arrays[which](model, len(found))
        if not at:
            return tuple(found)
        a = at.contents
        found.append(TensorInfo(a.name.decode(), _abi.DTYPES[a.dtype][0], tuple(a.shape[: a.rank]), a.index_bound))


class Model:
    """A model with its weights. Call it with its inputs, in order or by name.

    It may be called from several threads: calls wait for each other. `share` gives a further model over the same
    weights, which runs at the same time as this one.

    name:       of the library or spec
    inputs, outputs, parameters: what it takes and gives; of a library of several shapes, at the largest
    bounds:     of a library of several shapes, what its extents may be, as text ("b=1..8"); else None
    preprocess: how pictures become its input, or None
    classes:    what its classes are called: a list, the name of a known list, or None
    version:    of the Fovea that compiled it
    manifest:   everything that is known, as in NAME.json
    """

    name: str
    inputs: Tuple[TensorInfo, ...]
    outputs: Tuple[TensorInfo, ...]
    parameters: Tuple[TensorInfo, ...]
    preprocess: Optional[Dict[str, Any]]
    classes: Optional[Union[List[str], str]]
    bounds: Optional[str]
    version: str
    manifest: Dict[str, Any]

    def __init__(self, runtime: _abi.Runtime, handle: Handle, manifest: Dict[str, Any]) -> None:
        """Not for users: `fovea.load` and `fovea.compile` make models."""
        self._runtime, self._handle, self._lock = runtime, handle, threading.Lock()
        self.manifest, self.bounds = manifest, manifest.get("bounds")
        self.name, self.version = manifest["name"], manifest["fovea"]
        self.preprocess, self.classes = manifest.get("preprocess"), manifest.get("classes")
        self.inputs, self.outputs, self.parameters = (tensors_of(runtime, handle.pointer, i) for i in range(3))

    @property
    def backend(self) -> str:
        """Where it runs, and why there: "cpu", "cpu: OpenCL: no driver was found (...)", "opencl: NAME (...)"."""
        return str(self._runtime.backend(self._handle.pointer).decode(errors="replace"))

    @property
    def threads(self) -> int:
        """How many threads share the work of a call."""
        return int(self._runtime.threads(self._handle.pointer))

    def share(self, threads: int = 0) -> "Model":
        """A further model over the same weights: only its working memory and threads are its own."""
        out, error = c.c_void_p(), _abi.ErrorText()
        self._here()
        if self._runtime.share(self._handle.pointer, options(threads), c.byref(out), c.byref(error)):
            raise failure(error)
        assert out.value is not None
        return Model(self._runtime, Handle(out.value, self._runtime.dispose, self._handle), self.manifest)

    def __call__(self, *tensors: Any, out: Any = None, **named: Any) -> Any:
        """One answer: the output, or a dict of them by name if there are several.

        Inputs are NumPy arrays, torch tensors, other tensors with `__dlpack__`, or objects with a buffer, of exactly
        the type and shape of `inputs` (of a library of several shapes: of any within its bounds), dense and in CPU memory; they are read in place. (An array.array, which has no
        shape, needs the right number of elements.) Outputs are new and of the kind of the first input: NumPy arrays,
        torch tensors, otherwise memoryviews, in which 16-bit floats are their bits.
        out: tensors to write into instead, one or a dict of all; the result is `out`.
        """
        given = self._given(tensors, named)
        views = [_tensors.View(x, f'input "{i.name}"', i.shape) for x, i in zip(given, self.inputs)]
        ins = (_abi.DLTensor * max(len(views), 1))(*(v.tensor for v in views))
        error = _abi.ErrorText()
        self._here()
        with self._lock:
            outputs = self._outputs_for(ins, len(views))
            results = self._results(out, _tensors.kind_of(given[0]) if given else "memoryview", outputs)
            targets = [_tensors.View(results[o.name], f'output "{o.name}"', o.shape, True) for o in outputs]
            outs = (_abi.DLTensor * max(len(targets), 1))(*(v.tensor for v in targets))
            status = self._runtime.run(self._handle.pointer, ins, len(views), outs, len(targets), c.byref(error))
        if status:
            raise failure(error)
        if out is not None:
            return out
        return results[self.outputs[0].name] if len(self.outputs) == 1 else results

    def __repr__(self) -> str:
        def text(tensors: Tuple[TensorInfo, ...]) -> str:
            return ", ".join(f"{t.name}: {t.dtype}{list(t.shape)}" for t in tensors)

        return f"<fovea.Model {self.name}({text(self.inputs)}) -> {text(self.outputs)}>"

    def _here(self) -> None:
        if os.getpid() != self._handle.pid:
            raise Error("a model does not survive fork: load it in the child", Status.STATE)

    def _outputs_for(self, inputs: Any, n: int) -> Tuple[TensorInfo, ...]:
        """Outputs at the shapes of these inputs, which the model takes from now on."""
        if self.bounds is None:
            return self.outputs
        error = _abi.ErrorText()
        if self._runtime.fit(self._handle.pointer, inputs, n, c.byref(error)):
            raise failure(error)
        return tensors_of(self._runtime, self._handle.pointer, 1)

    def _given(self, tensors: Tuple[Any, ...], named: Dict[str, Any]) -> List[Any]:
        """One tensor per input, in their order."""
        names = [i.name for i in self.inputs]
        if len(tensors) > len(names):
            raise Error(f"{self.name} takes {len(names)} inputs ({', '.join(names)}), {len(tensors)} were given",
                        Status.TENSOR)
        by_name = dict(zip(names, tensors))
        for name, x in named.items():
            if name not in names:
                raise Error(f"{self.name} has no input '{name}': it takes {', '.join(names)}", Status.TENSOR)
            if name in by_name:
                raise Error(f"input '{name}' was given twice", Status.TENSOR)
            by_name[name] = x
        missing = [name for name in names if name not in by_name]
        if missing:
            raise Error(f"{self.name} was not given: {', '.join(missing)}", Status.TENSOR)
        return [by_name[name] for name in names]

    def _results(self, out: Any, kind: str, outputs: Tuple[TensorInfo, ...]) -> Dict[str, Any]:
        if out is None:
            return {o.name: _tensors.empty(kind, o.dtype, o.shape, f'output "{o.name}"') for o in outputs}
        if isinstance(out, Mapping):
            if set(out) != {o.name for o in self.outputs}:
                raise Error(f"out must have exactly the outputs {', '.join(o.name for o in self.outputs)}",
                            Status.TENSOR)
            return dict(out)
        if len(self.outputs) != 1:
            raise Error(f"{self.name} has {len(self.outputs)} outputs: out must be a dict of them by name",
                        Status.TENSOR)
        return {self.outputs[0].name: out}
