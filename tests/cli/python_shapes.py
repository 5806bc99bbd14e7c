"""A library of several shapes from Python: python_shapes.py LIBRARY.so LEAST MOST C, over inputs [b, C]."""
import array
import sys

import fovea

path, least, most, c = sys.argv[1], *map(int, sys.argv[2:5])
model = fovea.load(path, threads=2)
assert model.bounds == f"b={least}..{most}", model.bounds
assert model.inputs[0].shape == (most, c), model.inputs


def rows(n):
    return memoryview(array.array("f", [((7 * i) % 11 - 5) / 4 for i in range(n * c)])).cast("B").cast("f", (n, c))


whole = model(rows(most))
for n in [*range(least, most + 1), most, least]:
    y = model(rows(n))
    assert y.shape == (n, *whole.shape[1:]), y.shape
    # other kernels round otherwise
    assert all(abs(a - b) < 1e-5 for a, b in zip(sum(y.tolist(), []), sum(whole.tolist()[:n], []))), n
for n in (most + 1, least - 1):
    if n < 1:
        continue
    try:
        model(rows(n))
        raise AssertionError(f"{n} was not refused")
    except fovea.Error as e:
        assert e.status == fovea.Status.SHAPE and f"b={least}..{most}" in str(e), e
small = fovea.load(path, threads=1, extents={"b": least})
assert small.share().inputs[0].shape == (most, c)
small(rows(least))
try:
    small(rows(most))
    raise AssertionError("a model that was loaded for less takes more")
except fovea.Error as e:
    assert e.status == fovea.Status.MEMORY, e
for wrong in ({"c": 2}, {}):
    try:
        fovea.load(path, extents=wrong)
        raise AssertionError("extents of other names were taken")
    except fovea.Error as e:
        assert e.status == fovea.Status.ARGUMENT and "b" in str(e), e
