"""fovea.load against a library of the digits: python_load.py FOLDER DIGITS. FOLDER holds what test_python.sh has built;
DIGITS is tests/data/digits. Every case runs on plain buffers; NumPy and torch are tried where they are."""
import array
import ctypes
import json
import os
import shutil
import struct
import sys
import threading
import unittest
from pathlib import Path

import fovea

HERE, DIGITS = Path(sys.argv[1]), Path(sys.argv[2])
assert "numpy" not in sys.modules and "torch" not in sys.modules, "the module imports what it must not need"
try:
    import numpy
except ImportError:
    numpy = None
try:
    import torch
except ImportError:
    torch = None

LABELS = [int(p.stem[-1]) for p in sorted((DIGITS / "held-out").iterdir())][:8]
BYTES = 3 * 96 * 96 * 4


def stored(path, name):
    """A tensor of a safetensors file as an array.array of floats, and its shape."""
    raw = path.read_bytes()
    start = 8 + struct.unpack("<Q", raw[:8])[0]
    entry = json.loads(raw[8:start])[name]
    begin, end = entry["data_offsets"]
    assert entry["dtype"] == "F32"
    return array.array("f", raw[start + begin:start + end]), entry["shape"]


def pictures():
    data, shape = stored(DIGITS / "expect.safetensors", "input")
    n = len(data) // shape[0]
    return [data[i * n:(i + 1) * n] for i in range(shape[0])]


def best(scores):
    scores = list(scores)
    return scores.index(max(scores))


class Load(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = fovea.load(HERE / "digits.so", threads=2)
        cls.pictures = pictures()
        cls.logits = stored(DIGITS / "expect.safetensors", "logits")[0]

    def refuses(self, call, *texts, kind=fovea.Error, status=None):
        with self.assertRaises(kind) as caught:
            call()
        for text in texts:
            self.assertIn(text, str(caught.exception))
        if status is not None:
            self.assertEqual(caught.exception.status, status)
        return caught.exception

    def test_attributes(self):
        m = self.model
        self.assertEqual(m.inputs, (fovea.TensorInfo("input", "f32", (1, 3, 96, 96)),))
        self.assertEqual([(o.name, o.shape) for o in m.outputs], [("logits", (1, 10))])
        self.assertEqual(m.classes, [str(i) for i in range(10)])
        self.assertEqual(m.preprocess["size"], [96, 96])
        self.assertEqual((m.name, m.threads, m.version), ("digits", 2, fovea.__version__))
        manifest = json.loads((HERE / "digits.json").read_text())
        self.assertEqual([p["name"] for p in manifest.pop("parameters")], [p.name for p in m.parameters])
        manifest.pop("files")
        self.assertEqual(m.manifest, manifest)

    def test_plain(self):
        for i, x in enumerate(self.pictures):
            y = self.model(x)
            self.assertEqual((type(y), y.shape, y.format), (memoryview, (1, 10), "f"))
            self.assertEqual(best(y.tolist()[0]), LABELS[i])
            for a, b in zip(y.tolist()[0], self.logits[10 * i:]):
                self.assertLess(abs(a - b), 1e-3)
        shaped = memoryview(self.pictures[0]).cast("B").cast("f", [1, 3, 96, 96])
        self.assertEqual(self.model(input=shaped).tolist(), self.model(self.pictures[0]).tolist())

    def test_numpy(self):
        if numpy is None:
            self.skipTest("numpy is not here")
        for i, x in enumerate(self.pictures):
            y = self.model(numpy.array(x, "float32").reshape(1, 3, 96, 96))
            self.assertEqual((type(y), y.shape, y.dtype.name), (numpy.ndarray, (1, 10), "float32"))
            self.assertEqual(y.argmax(), LABELS[i])
        x = numpy.array(self.pictures[0], "float32").reshape(1, 3, 96, 96)
        x.flags.writeable = False
        self.assertEqual(self.model(x).argmax(), LABELS[0])
        self.refuses(lambda: self.model(x[:, ::-1]), "dense row-major")
        self.refuses(lambda: self.model(x.transpose(0, 1, 3, 2)), "dense row-major")
        self.refuses(lambda: self.model(x.astype("float64")), "must be f32, is f64")
        self.refuses(lambda: self.model(x.astype(">f4")), "format '>f'")
        self.refuses(lambda: self.model(x[0]), "must have shape [1, 3, 96, 96], has [3, 96, 96]")
        self.refuses(lambda: self.model(x.astype(object)), "format 'O'")
        odd = numpy.zeros(BYTES + 1, "uint8")[1:].view("float32").reshape(1, 3, 96, 96)
        self.refuses(lambda: self.model(odd), "not aligned")
        self.refuses(lambda: self.model(x, out=y.T), "must have shape")
        y.flags.writeable = False
        self.refuses(lambda: self.model(x, out=y), "written")

    def test_torch(self):
        if torch is None:
            self.skipTest("torch is not here")
        for i, x in enumerate(self.pictures):
            y = self.model(torch.tensor(x.tolist()).reshape(1, 3, 96, 96))
            self.assertEqual((type(y), tuple(y.shape), y.dtype), (torch.Tensor, (1, 10), torch.float32))
            self.assertEqual(int(y.argmax()), LABELS[i])
        x = torch.tensor(self.pictures[0].tolist()).reshape(1, 3, 96, 96)
        self.refuses(lambda: self.model(x.transpose(2, 3)), "dense row-major")
        self.refuses(lambda: self.model(x.to(memory_format=torch.channels_last)), "dense row-major")
        self.refuses(lambda: self.model(x.double()), "must be f32, is f64")
        self.refuses(lambda: self.model(x[:, :2]), "must have shape [1, 3, 96, 96], has [1, 2, 96, 96]")
        self.refuses(lambda: self.model(x.requires_grad_()), "detach()")
        self.refuses(lambda: self.model(x.detach().to("meta")), 'input "input"')

    def test_no_copy(self):
        """What the runtime is given is the memory of the caller, and so is what it writes."""
        seen = []
        run = self.model._runtime.run

        def spy(model, ins, n_ins, outs, n_outs, error):
            seen.append((ins[0].data + ins[0].byte_offset, outs[0].data + outs[0].byte_offset))
            return run(model, ins, n_ins, outs, n_outs, error)

        self.model._runtime.run = spy
        try:
            x = self.pictures[0]
            out = array.array("f", [0] * 10)
            self.assertIs(self.model(x, out=out), out)
            self.assertEqual(seen.pop(), (x.buffer_info()[0], out.buffer_info()[0]))
            self.assertEqual(best(out), LABELS[0])
            if numpy is not None:
                x = numpy.array(x, "float32").reshape(1, 3, 96, 96)
                y = self.model(x)
                self.assertEqual(seen.pop(), (x.ctypes.data, y.ctypes.data))
                two = numpy.stack([x[0], x[0] + 1])
                self.assertEqual(best(self.model(two[1:])[0]), best(self.model(x + 1)[0]))      # an offset into memory
            if torch is not None:
                x = torch.tensor(self.pictures[1].tolist()).reshape(1, 3, 96, 96)
                out = {"logits": torch.empty(1, 10)}
                self.assertIs(self.model(input=x, out=out), out)
                self.assertEqual(seen[-1], (x.data_ptr(), out["logits"].data_ptr()))
                self.assertEqual(int(out["logits"].argmax()), LABELS[1])
        finally:
            self.model._runtime.run = run

    def test_docs(self):
        """docs/python.md, word for word."""
        if numpy is None:
            self.skipTest("numpy is not here")
        text = (DIGITS.parents[2] / "docs" / "python.md").read_text().split("## Models")[1].split("## Kernels")[0]
        lines = [line[4:] for line in text.splitlines() if line.startswith("    ")]
        self.assertGreater(len(lines), 3)
        shown = [line.split("# ")[1] for line in lines if "# <" in line]
        picture, said = numpy.array(self.pictures[2], "float32").reshape(1, 3, 96, 96), []
        before = os.getcwd()
        os.chdir(HERE)
        try:
            exec("\n".join(lines), {"picture": picture, "print": lambda x: said.append(str(x))})
        finally:
            os.chdir(before)
        self.assertEqual(said, shown + [str(LABELS[2])])

    def test_refused(self):
        m, x = self.model, self.pictures[0]
        self.refuses(lambda: m(array.array("d", x)), "must be f32, is f64", status=fovea.Status.TENSOR)
        self.refuses(lambda: m(x[1:]), "must have shape [1, 3, 96, 96], has [27647]")
        self.refuses(lambda: m(memoryview(x)[::-1]), "must have shape")
        odd = memoryview(bytearray(BYTES + 1))[1:].cast("f", [1, 3, 96, 96])
        self.refuses(lambda: m(odd), "not aligned")
        self.refuses(lambda: m([1.0]), "a list is no tensor")
        self.refuses(lambda: m(None), "a NoneType is no tensor")
        self.refuses(lambda: m(), "was not given: input")
        self.refuses(lambda: m(x, x), "takes 1 inputs (input), 2 were given")
        self.refuses(lambda: m(x, input=x), "given twice")
        self.refuses(lambda: m(picture=x), "no input 'picture'")
        self.refuses(lambda: m(x, out=bytes(40)), "written")
        self.refuses(lambda: m(x, out={"scores": x}), "exactly the outputs logits")
        self.refuses(lambda: m(x, out=memoryview(x)[:10].cast("B").cast("f", [1, 10])), "shares memory with input")
        self.refuses(lambda: fovea.load(HERE / "digits.so", threads=-1), "threads must be")

    def test_libraries(self):
        whole = (HERE / "digits.so").read_bytes()
        for n in (0, 10, 4096, len(whole) // 2, len(whole) - 1):
            (HERE / "cut.so").write_bytes(whole[:n])
            e = self.refuses(lambda: fovea.load(HERE / "cut.so"), "cut.so", status=fovea.Status.FORMAT)
            self.assertEqual(e.file, str(HERE / "cut.so"))
        self.refuses(lambda: fovea.load(HERE / "digits.json"), "no shared library")
        self.refuses(lambda: fovea.load(HERE / "none.so"), "cannot be read", status=fovea.Status.FILE)
        foreign = bytearray(whole)
        foreign[18] = 40                                # a machine that this is not
        (HERE / "foreign.so").write_bytes(foreign)
        self.refuses(lambda: fovea.load(HERE / "foreign.so"), "does not load", status=fovea.Status.PROGRAM)
        self.refuses(lambda: fovea.load(HERE / "older.so"), "of version 2", "build it again", status=fovea.Status.FORMAT)
        other = next(Path(p) for p in Path("/proc/self/maps").read_text().split() if "/libc" in p and ".so" in p)
        self.refuses(lambda: fovea.load(other), "no library of fovea")

    def test_several_levels(self):
        x = array.array("f", [0.25 * (i % 9) - 1 for i in range(7 * 12)])
        one, several = fovea.load(HERE / "net.so")(x), fovea.load(HERE / "several.so")(x)
        for a, b in zip(one.cast("B").cast("f"), several.cast("B").cast("f")):
            self.assertAlmostEqual(a, b, delta=1e-5)

    def test_weights(self):
        cases = {"digits.weights": None, "net.weights": fovea.Status.WEIGHTS, "digits.json": fovea.Status.FORMAT,
                 "nowhere": fovea.Status.FILE}
        for name, status in cases.items():
            if status is None:
                fovea.load(HERE / "digits.so", HERE / name)
            else:
                e = self.refuses(lambda: fovea.load(HERE / "digits.so", weights=HERE / name), name, status=status)
                self.assertEqual(e.file, str(HERE / name))
        cut = HERE / "cut.weights"
        cut.write_bytes((HERE / "digits.weights").read_bytes()[:100000])
        self.refuses(lambda: fovea.load(HERE / "digits.so", cut), "cut", status=fovea.Status.FORMAT)
        published = fovea.load(HERE / "digits.so", DIGITS / "dinat_digits.safetensors")
        self.assertEqual(published(self.pictures[3]).tolist(), self.model(self.pictures[3]).tolist())
        alone = HERE / "alone"
        alone.mkdir()
        shutil.copy(HERE / "digits.so", alone)
        self.refuses(lambda: fovea.load(alone / "digits.so"), "say weights=", status=fovea.Status.WEIGHTS)
        by_name = {}
        for p in self.model.parameters:
            data, shape = stored(DIGITS / "dinat_digits.safetensors", p.name)
            self.assertEqual(tuple(shape), p.shape)
            by_name[p.name] = data
        m = fovea.load(alone / "digits.so", by_name)
        by_name.clear()
        self.assertEqual(m(self.pictures[4]).tolist(), self.model(self.pictures[4]).tolist())
        self.refuses(lambda: fovea.load(alone / "digits.so", {}), "parameters are missing")

    def test_several(self):
        m = fovea.load(HERE / "two.so")
        a, b = array.array("f", range(6)), array.array("f", [1] * 6)
        r = m(a, b)
        self.assertEqual({k: v.tolist() for k, v in r.items()},
                         {"sum": [[1, 2, 3], [4, 5, 6]], "product": [[0, 1, 2], [3, 4, 5]]})
        self.assertEqual(m(y=a, x=b)["sum"].tolist(), r["sum"].tolist())
        self.assertEqual(m(a, y=b)["product"].tolist(), r["product"].tolist())
        self.refuses(lambda: m(a), "was not given: y")
        self.refuses(lambda: m(a, b, out=a), "must be a dict")

    def test_threads(self):
        want = [self.model(x).tolist() for x in self.pictures]
        wrong, models = [], [self.model] * 4 + [self.model.share(threads=1) for _ in range(4)]

        def work(k):
            for i in range(16):
                at = (i + k) % len(want)
                if models[k](self.pictures[at]).tolist() != want[at]:
                    wrong.append((k, i))

        threads = [threading.Thread(target=work, args=(k,)) for k in range(len(models))]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(wrong, [])
        shared = fovea.load(HERE / "digits.so").share()         # the model it shares with is only held by it
        self.assertEqual(shared(self.pictures[0]).tolist(), want[0])

    def test_fork(self):
        child = os.fork()
        if child == 0:
            try:
                self.model(self.pictures[0])
                os._exit(1)
            except fovea.Error as e:
                os._exit(0 if e.status == fovea.Status.STATE else 2)
        self.assertEqual(os.waitpid(child, 0)[1], 0)

    def test_built_anew(self):
        """The loader would give the library that it has loaded under this name before."""
        shutil.copy(HERE / "net.so", HERE / "changing.so")
        shutil.copy(HERE / "digits.so", HERE / "next.so")
        self.assertEqual(fovea.load(HERE / "changing.so", HERE / "net.weights").name, "net")
        os.replace(HERE / "next.so", HERE / "changing.so")
        self.assertEqual(fovea.load(HERE / "changing.so").name, "digits")

    def test_memory_given_back(self):
        before = len(os.listdir("/proc/self/task"))
        for _ in range(8):
            fovea.load(HERE / "digits.so", threads=4)
        self.assertEqual(len(os.listdir("/proc/self/task")), before)


if __name__ == "__main__":
    unittest.main(argv=["python_load", "-v"])
