"""Fovea from Python: runs the libraries that `fovea build` makes.

    import fovea
    classify = fovea.load("digits.so")          # with digits.weights beside it
    scores = classify(picture)                  # a torch tensor, a NumPy array, or anything with a buffer

Inputs are read where they lie: nothing is copied or converted, and what does not fit is refused. Outputs are new and
of the kind of the first input. Neither NumPy nor torch is needed. Every mistake is a `fovea.Error`.
"""
from ._errors import Error, Status
from ._library import load
from ._model import Model, TensorInfo

__all__ = ["Error", "Model", "Status", "TensorInfo", "load"]
__version__ = "0.1.0"
