"""Fovea from Python: runs the libraries that `fovea build` makes, and compiles specs.

    import fovea
    classify = fovea.load("digits.so")          # with digits.weights beside it
    scores = classify(picture)                  # a torch tensor, a NumPy array, or anything with a buffer
    attend = fovea.compile(text, shape={"n": 64})      # the text of a spec: docs/language.md

Inputs are read where they lie: nothing is copied or converted, and what does not fit is refused. Outputs are new and
of the kind of the first input. Neither NumPy nor torch is needed. Every mistake is a
`fovea.Error`; one in the text of a spec is a `fovea.SpecError`, with its line.
"""
from ._compiler import compile
from ._errors import Error, Note, SpecError, Status
from ._library import load
from ._model import Model, TensorInfo

__all__ = ["Error", "Model", "Note", "SpecError", "Status", "TensorInfo", "compile", "load"]
__version__ = "0.1.0"
