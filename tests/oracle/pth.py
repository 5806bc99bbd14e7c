"""Writes the checkpoints of tests/data/pth with torch.save: python3 tests/oracle/pth.py OUT

Element i of every tensor is a small number that its test computes again: 0.5 * i - 1 for floats, i % 7 for the rest.
Names say what a file is about; tests/unit/test_io_pth.c says what is expected of it.
"""
import argparse
import collections
import pathlib
import pickle
import random
import sys
import zipfile

import torch
from torch import nn

import tensorfile


def numbers(shape, dtype=torch.float32):
    count = torch.Size(shape).numel()
    if dtype.is_floating_point:
        return (0.5 * torch.arange(count, dtype=torch.float64) - 1).reshape(shape).to(dtype)
    return (torch.arange(count) % 7).reshape(shape).to(dtype)


def small(scale=1.0):
    """Four tensors, as a module's state_dict() has them."""
    state = collections.OrderedDict()
    state["stem.weight"] = numbers((4, 3, 2, 2)) * scale
    state["stem.bias"] = numbers((4,)) * scale
    state["norm.running_mean"] = numbers((4,)) * scale
    state["norm.num_batches_tracked"] = torch.tensor(5)
    state._metadata = collections.OrderedDict([("", {"version": 1}), ("norm", {"version": 2})])
    return state


def prefixed(state, prefix):
    return collections.OrderedDict((prefix + k, v) for k, v in state.items())


def dtypes():
    floats = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e5m2, torch.float8_e4m3fn]
    wholes = [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32, torch.uint64]
    state = {str(d).split(".")[1]: numbers((2, 3), d) for d in floats + wholes}
    state["bool"] = torch.tensor([[True, False, True], [False, False, True]])
    state["scalar"] = torch.tensor(2.5)
    state["empty"] = torch.zeros(0, 4)
    return state


def views():
    base = numbers((4, 6))
    return {
        "base": base, "transposed": base.t(), "rows": base[1:3], "columns": base[:, 2:4], "stepped": base[::2, ::3],
        "corner": base[2:, 3:].t(), "expanded": base[1, :3].expand(4, 3),
        "permuted": numbers((2, 3, 4)).permute(2, 0, 1),
        "tied": base, "channels_last": numbers((2, 3, 2, 2)).contiguous(memory_format=torch.channels_last),
        "one": base[:, 5:6], "parameter": nn.Parameter(base.t()),
    }


def trained():
    """What a training script saves: optimizer, arguments, random state; a class of the script's own."""
    net = nn.Linear(3, 2)
    with torch.no_grad():
        net.weight.copy_(numbers((2, 3)))
        net.bias.copy_(numbers((2,)))
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    with torch.no_grad():
        net.weight.copy_(numbers((2, 3)))
        net.bias.copy_(numbers((2,)))
    args = argparse.Namespace(lr=0.1, data=pathlib.PurePosixPath("x"), seed=None)
    return {"epoch": 7, "arch": "linear", "args": args,
            "optimizer": optimizer.state_dict(), "rng": torch.get_rng_state()[:16].clone(), "best": 0.25,
            "python_rng": random.Random(3).getstate()[1][:20], "big": 1 << 100, "when": complex(1, 2),
            "tags": {"a", "b"}, "count": collections.Counter("abca"), "state_dict": net.state_dict()}


def special():
    state = {"fine": numbers((2, 2)), "complex": torch.zeros(2, dtype=torch.complex64),
             "sparse": torch.eye(2).to_sparse(),
             "quantised": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
             "negated": torch.ones(2, dtype=torch.complex64).conj().imag, "meta": torch.zeros(2, device="meta")}
    own = nn.Parameter(numbers((3,)))
    own.tag = "kept beside it"                            # saved with its attributes
    state["tagged"] = own
    return state


def store(path, entries, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as z:
        for name, data in entries:
            z.writestr(zipfile.ZipInfo(name), data, method)


def main(out):
    out.mkdir(parents=True, exist_ok=True)
    save = lambda name, what, **more: torch.save(what, out / name, **more)
    save("plain.pth", small())
    save("dtypes.pth", dtypes())
    save("views.pth", views())
    save("trained.pth", trained())
    save("special.pth", special())
    save("protocol4.pth", {"model": small()}, pickle_protocol=4)
    save("ema.pth", {"state_dict": {"a": numbers((2,))}, "state_dict_ema": {"a": 2 * numbers((2,))}, "ema": None})
    save("nested.pth", {"model": {"state_dict": prefixed(small(), "module._orig_mod.")}})
    averaged = {"n_averaged": torch.tensor(9), "module.a": 2 * numbers((2,))}
    save("averaged.pth", {"model": {"a": numbers((2,))}, "model_ema": averaged})
    save("only.pth", {"net": {"a": numbers((2,))}, "acc": 93.5, "loss": [1.0, 2.0]})
    save("two.pth", {"generator": {"a": numbers((2,))}, "discriminator": {"a": numbers((2,))}})
    save("object.pth", {"ema": nn.Identity(), "state_dict": {"a": numbers((2,))}})
    save("module.pth", nn.Linear(2, 2))
    save("list.pth", [numbers((2,))])
    save("nothing.pth", {"epoch": 1, "args": argparse.Namespace(lr=1)})
    table = numbers((2, 5, 5))                            # for the command line: the same weights twice
    save("bias.pth", {"ema": {"module.rpb": table.half().permute(2, 1, 0).contiguous().permute(2, 1, 0)}, "epoch": 1})
    tensorfile.save(out / "bias.safetensors", {"rpb": table.numpy()})
    save("legacy.pth", small(), _use_new_zipfile_serialization=False)
    (out / "bare.pkl").write_bytes(pickle.dumps({"a": 1}, 2))
    with zipfile.ZipFile(out / "plain.pth") as z:
        entries = [(i.filename, z.read(i)) for i in z.infolist()]
    store(out / "packed.pth", entries, zipfile.ZIP_DEFLATED)
    store(out / "rezipped.pth", entries)
    store(out / "big_endian.pth", [(n, b"big" if n.endswith("/byteorder") else d) for n, d in entries])


if __name__ == "__main__":
    torch.manual_seed(1)
    main(pathlib.Path(sys.argv[1]))
