"""fovea.compile: python_compile.py README DIGITS FOLDER. FOLDER is empty; DIGITS is tests/data/digits."""
import array
import math
import os
import subprocess
import sys
import threading
import unittest
from pathlib import Path

import fovea

README, DIGITS, HERE = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
try:
    import numpy
except ImportError:
    numpy = None
try:
    import torch
except ImportError:
    torch = None

SUM = 'local x, y = input("x", "n c"), input("y", "n c")\noutput("s", x + y, "n c")\n'
NET = 'output("y", linear(input("x", "n c"), "fc", "c=4"), "n c")'


class Compile(unittest.TestCase):
    def refuses(self, call, *texts, kind=fovea.Error):
        with self.assertRaises(kind) as caught:
            call()
        for text in texts:
            self.assertIn(text, str(caught.exception))
        return caught.exception

    def test_plain(self):
        k = fovea.compile(SUM, shape={"n": 2, "c": 3}, name="sum")
        a = array.array("f", range(6))
        self.assertEqual(k(a, y=a).tolist(), [[0, 2, 4], [6, 8, 10]])
        self.assertEqual([i.name for i in k.inputs], ["x", "y"])
        self.assertEqual((k.name, k.version, k.classes, k.preprocess), ("sum", fovea.__version__, None, None))
        shaped = memoryview(a).cast("B").cast("f", [3, 2])
        k = fovea.compile(SUM, inputs={"x": shaped, "y": shaped})
        self.assertEqual(k(shaped, shaped).tolist(), [[0, 2], [4, 6], [8, 10]])

    def test_mistakes(self):
        text = 'local x = input("x", "n c")\n\nlocal y = x + nothing\noutput("s", y, "n c")\n'
        e = self.refuses(lambda: fovea.compile(text, shape={"n": 2, "c": 3}), "spec:3: ", "nil", "x + nothing",
                         kind=fovea.SpecError)
        self.assertEqual((e.line, e.file, e.layer, e.status), (3, "spec", "spec", None))
        self.assertEqual(e.source, "local y = x + nothing")
        self.assertRegex(e.code, "^E[0-9]{4}$")
        e = self.refuses(lambda: fovea.compile("output(\n\n= 3", name="mine"), kind=fovea.SpecError)
        self.assertEqual((e.line, e.file), (3, "mine"))
        e = self.refuses(lambda: fovea.compile(""), "no output", kind=fovea.SpecError)
        self.assertIsNone(e.line)
        e = self.refuses(lambda: fovea.compile(SUM), "extent of axis 'n'", kind=fovea.SpecError)
        self.assertEqual(e.line, 1)
        path = HERE / "bad.lua"
        path.write_text(text)
        e = self.refuses(lambda: fovea.compile(path, shape={"n": 2, "c": 3}), "bad.lua:3: ", kind=fovea.SpecError)
        self.assertEqual((e.file, e.source), (str(path), "local y = x + nothing"))
        full = {"n": 2, "c": 3}
        for call, *texts in (
                (lambda: fovea.compile(SUM, shape=dict(full, m=4)), "the extent m=4", "no input has an axis 'm'"),
                (lambda: fovea.compile(SUM, shape=full, widow=7), "nothing reads the setting 'widow'"),
                (lambda: fovea.compile(SUM, shape=full, backend="none"), "there is no backend 'none'"),
                (lambda: fovea.compile(SUM, shape=full, target="none"), "'none'"),
                (lambda: fovea.compile(SUM, shape=full, dtype="f64"), "f32, bf16 or f16"),
                (lambda: fovea.compile(SUM, shape={"n": 0}), "at least 1"),
                (lambda: fovea.compile(SUM, shape=full, threads="two"), "threads must be"),
                (lambda: fovea.compile(SUM, shape=full, config={"x": {1}}), "JSON"),
                (lambda: fovea.compile(SUM, inputs={"x": [1]}), "a list is no tensor"),
                (lambda: fovea.compile(SUM, inputs={"x": array.array("f", [1])}), "the stored tensor [1] has 1"),
                (lambda: fovea.compile(NET, shape={"n": 1, "c": 4}), "say weights="),
                (lambda: fovea.compile(NET, shape={"n": 1, "c": 4}, weights=HERE / "no.safetensors"), "no.safetensors"),
                (lambda: fovea.compile(SUM, shape=full, tuned=HERE / "no.db"), "there is no database", "no.db"),
                (lambda: fovea.compile(HERE / "no.lua"), "no.lua")):
            self.refuses(call, *texts)
        self.refuses(lambda: fovea.compile("while true do end"), kind=fovea.SpecError)

    def test_weights(self):
        w = {"fc.weight": memoryview(array.array("f", [2, 0, 0, 2])).cast("B").cast("f", [2, 2]),
             "fc.bias": array.array("f", [1, -1]), "more": array.array("d", [0])}
        k = fovea.compile(NET.replace("c=4", "c=2"), shape={"n": 1, "c": 2}, weights=w)
        w.clear()
        self.assertEqual(k(array.array("f", [3, 5])).tolist(), [[7, 9]])
        self.assertEqual([p.name for p in k.parameters], ["fc.weight", "fc.bias"])
        self.refuses(lambda: fovea.compile(NET.replace("c=4", "c=2"), shape={"n": 1, "c": 2},
                                           weights={"fc.bias": array.array("f", [1, 2])}), "fc.weight")

    def test_files(self):
        """A whole network: its config, its checkpoint, its classes; and what is said of a checkpoint that is another's."""
        import json
        config = json.loads((DIGITS / "config.json").read_text())
        specs = README.parent / "specs"
        weights = DIGITS / "dinat_digits.safetensors"
        os.environ["FOVEA_SPECS"] = str(specs)
        m = fovea.compile(specs / "backbones" / "dinat.lua", config=config, weights=weights, threads=1)
        self.assertEqual((m.name, m.classes), ("dinat", [str(i) for i in range(10)]))
        raw = (DIGITS / "expect.safetensors").read_bytes()
        start = 8 + int.from_bytes(raw[:8], "little")
        at = {k: v["data_offsets"] for k, v in json.loads(raw[8:start]).items() if k != "__metadata__"}
        x = array.array("f", raw[start + at["input"][0]:start + at["input"][0] + 3 * 96 * 96 * 4])
        want = array.array("f", raw[start + at["logits"][0]:start + at["logits"][0] + 40])
        for a, b in zip(m(x).tolist()[0], want):
            self.assertLess(abs(a - b), 1e-3)
        self.refuses(lambda: fovea.compile(NET, shape={"n": 1, "c": 4}, weights=weights), "fc.weight")

    def test_settings(self):
        text = 'output("y", input("x", "n=2") * config.factor, "n")'
        x = array.array("f", [1, 2])
        self.assertEqual(fovea.compile(text, factor=3)(x).tolist(), [3, 6])
        self.assertEqual(fovea.compile(text, config={"factor": 4, "other": 1})(x).tolist(), [4, 8])
        self.assertEqual(fovea.compile(text, config={"factor": 4}, factor=5)(x).tolist(), [5, 10])

    def test_readme(self):
        """The spec that the README shows, against attention written out."""
        text = README.read_text().split("```lua\n")[1].split("```")[0]
        h, w, d = 8, 9, 4
        number = lambda seed, n: array.array("f", [math.sin(seed + 1.7 * i) for i in range(n)])
        q, k, v = (number(s, h * w * d) for s in range(3))
        bias = number(9, 169)
        shape = {"b": 1, "head": 1, "h": h, "w": w, "d": d}
        f = fovea.compile(text, shape=shape, weights={"rpb": memoryview(bias).cast("B").cast("f", [1, 13, 13])})
        got = f(q, k, v).tolist()[0][0]
        for y in range(h):
            for x in range(w):
                top, left = min(max(y - 3, 0), h - 7), min(max(x - 3, 0), w - 7)
                score, at = [], lambda m, i, j, c: m[(i * w + j) * d + c]
                for i in range(top, top + 7):
                    for j in range(left, left + 7):
                        dot = sum(at(q, y, x, c) * at(k, i, j, c) for c in range(d))
                        score.append((dot * d ** -0.5 + bias[(i - y + 6) * 13 + j - x + 6], i, j))
                most = max(s for s, _, _ in score)
                total = sum(math.exp(s - most) for s, _, _ in score)
                for c in range(d):
                    want = sum(math.exp(s - most) * at(v, i, j, c) for s, i, j in score) / total
                    self.assertLess(abs(got[y][x][c] - want), 1e-4)

    def test_docs(self):
        """docs/python.md, word for word."""
        if torch is None:
            self.skipTest("torch is not here")
        lua = README.read_text().split("```lua\n")[1].split("```")[0]
        text = (README.parent / "docs" / "python.md").read_text().split("## Kernels")[1].split("## From C")[0]
        lines = [line[4:] for line in text.splitlines() if line.startswith("    ")]
        q = torch.randn(1, 4, 56, 56, 32)
        names = {"fovea": fovea, "text": lua, "bias": torch.zeros(4, 13, 13), "q": q, "k": q, "v": q}
        exec("\n".join(lines), names)
        self.assertEqual(names["o"].shape, q.shape)

    def test_kinds(self):
        if numpy is not None:
            x = numpy.arange(6, dtype="float32").reshape(2, 3)
            y = fovea.compile(SUM, inputs={"x": x, "y": x})(x, x)
            self.assertTrue((y == 2 * x).all() and isinstance(y, numpy.ndarray))
        if torch is not None:
            net = torch.nn.Linear(5, 4)
            k = fovea.compile('output("y", linear(input("x", "n c"), "", "c=4"), "n c")'.replace('""', '"fc"'),
                              inputs={"x": torch.zeros(3, 5)}, weights={f"fc.{n}": t for n, t in net.state_dict().items()})
            x = torch.randn(3, 5)
            with torch.no_grad():
                self.assertTrue(torch.allclose(k(x), net(x), atol=1e-5))
        if numpy is None or torch is None:
            self.skipTest("numpy or torch is not here")

    def test_saved_by_torch(self):
        if torch is None:
            self.skipTest("torch is not here")
        net = torch.nn.Sequential()
        net.fc = torch.nn.Linear(5, 4)
        torch.save(net.state_dict(), HERE / "net.pth")
        k = fovea.compile(NET, inputs={"x": torch.zeros(3, 5)}, weights=HERE / "net.pth")
        x = torch.randn(3, 5)
        with torch.no_grad():
            self.assertTrue(torch.allclose(k(x), net(x), atol=1e-5))

    def test_threads(self):
        """Compilations share nothing."""
        wrong = []

        def work(k):
            n = 2 + k % 3
            f = fovea.compile(SUM, shape={"n": n, "c": 1 + k}, threads=1)
            a = array.array("f", range(n * (1 + k)))
            if [2 * x for x in a] != [x for row in f(a, a).tolist() for x in row]:
                wrong.append(k)
            try:
                fovea.compile("\n" * k + "nothing()")
                wrong.append(-k)
            except fovea.SpecError as e:
                if e.line != k + 1:
                    wrong.append((k, e.line))

        threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(wrong, [])

    def test_opencl(self):
        """The first thing that a process does with a driver, from several threads at once."""
        text = (f"import array, fovea, threading\ntext, right = {SUM!r}, []\n"
                "def work(n):\n    a = array.array('f', range(2 * n))\n"
                "    k = fovea.compile(text, shape={'n': 2, 'c': n}, backend='opencl')\n"
                "    right.append(n * (sum(map(sum, k(a, a).tolist())) == 2 * sum(a)))\n"
                "threads = [threading.Thread(target=work, args=(n,)) for n in range(1, COUNT + 1)]\n"
                "for t in threads: t.start()\nfor t in threads: t.join()\nprint(*right)\n")

        def run(count):
            return subprocess.run([sys.executable, "-c", text.replace("COUNT", str(count))], capture_output=True, text=True)

        one = run(1)
        if one.stdout.split() != ["1"]:
            self.assertIn("fovea._errors.Error", one.stderr)
            self.skipTest("OpenCL is not here")
        several = run(4)
        self.assertEqual(sorted(several.stdout.split()), ["1", "2", "3", "4"], several.stderr)


if __name__ == "__main__":
    unittest.main(argv=["python_compile", "-v"])
