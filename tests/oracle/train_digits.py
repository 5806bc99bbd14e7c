#!/usr/bin/env python3
"""Trains a small DiNAT on handwritten digits and writes tests/data/digits.  Needs PyTorch, scikit-learn and Pillow.

    train_digits.py [--epochs N] [--seed S] [--out DIR]     trains, then writes everything
    train_digits.py --only-write [--out DIR]                keeps the stored weights, writes the rest again

Nothing here is needed to build, run or test Fovea: the files it writes are stored.  The held-out pictures are looked
at once, after the last step; no choice is made by them.
"""
import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch.nn import functional as F

import tensorfile
from dinat import Dinat

SIZE = 96
CONFIG = {
    "model": "dinat",
    "img_size": [SIZE, SIZE],
    "in_chans": 3,
    "num_classes": 10,
    "embed_dim": 12,
    "depths": [2, 2, 2, 1],
    "num_heads": [1, 2, 4, 8],
    "kernel_size": 3,
    "dilations": [[1, 8], [1, 4], [1, 2], [1]],
    "mlp_ratio": 2,
    "qkv_bias": True,
    "rel_pos_bias": True,
    "layer_scale": None,
    "norm_eps": 1e-5,
    "preprocess": {
        "size": [SIZE, SIZE],
        "mean": [0.5, 0.5, 0.5],
        "std": [0.25, 0.25, 0.25],
        "interpolation": "bilinear",
        "crop_pct": 1.0,
    },
    "labels": [str(digit) for digit in range(10)],
}


def pictures():
    """The whole data set as 8-bit grey pictures [N, 8, 8] and labels [N]."""
    data = load_digits()
    return np.floor(data.images * 255 / 16 + 0.5).astype(np.uint8), data.target


def preprocess(grey: np.ndarray) -> np.ndarray:
    """[8, 8] u8 -> [3, SIZE, SIZE] f32: grey to RGB, Pillow's bilinear resize (8-bit result), / 255, normalised."""
    how = CONFIG["preprocess"]
    rgb = Image.fromarray(grey).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    x = np.asarray(rgb, np.float32) / np.float32(255)
    return ((x - np.float32(how["mean"])) / np.float32(how["std"])).transpose(2, 0, 1).copy()


def augment(x: torch.Tensor) -> torch.Tensor:
    """Turns (+-12 degrees), scales (0.85 to 1.15), shears and shifts (+-10 %) every picture a little; black outside."""
    n = len(x)

    def spread(amount):
        return (torch.rand(n) * 2 - 1) * amount

    angle, scale, shear = spread(math.radians(12)), 1 + spread(0.15), spread(0.1)
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    theta = torch.stack([torch.stack([cos, shear - sin, spread(0.2)], 1), torch.stack([sin, cos, spread(0.2)], 1)], 1)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    black = -2.0  # what preprocess() makes of 0
    return F.grid_sample(x - black, grid, align_corners=False) + black


def parameter_groups(model, decay: float):
    flat = [p for name, p in model.named_parameters() if p.ndim < 2 or name.endswith("rpb")]
    rest = [p for name, p in model.named_parameters() if not (p.ndim < 2 or name.endswith("rpb"))]
    return [{"params": rest, "weight_decay": decay}, {"params": flat, "weight_decay": 0.0}]


def train(model, x, labels, epochs: int, batch: int = 64, rate: float = 3e-3, warm: int = 3):
    steps = math.ceil(len(x) / batch)
    optimizer = torch.optim.AdamW(parameter_groups(model, 0.05), lr=rate)

    def factor(step):
        if step < warm * steps:
            return (step + 1) / (warm * steps)
        return 0.5 * (1 + math.cos(math.pi * (step - warm * steps) / ((epochs - warm) * steps)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    start = time.time()
    for epoch in range(epochs):
        total, right = 0.0, 0
        for at in torch.randperm(len(x)).split(batch):
            logits = model(augment(x[at]))
            loss = F.cross_entropy(logits, labels[at], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(at)
            right += (logits.argmax(1) == labels[at]).sum().item()
        print(f"epoch {epoch + 1}: loss {total / len(x):.4f}, {100 * right / len(x):.1f} % of the augmented training "
              f"part, {time.time() - start:.0f} s", flush=True)


def write_config(path: Path) -> None:
    """One line per field, which json.dumps does not do for nested lists."""
    def field(value, indent):
        if isinstance(value, dict):
            pad = " " * (indent + 2)
            lines = [f'{pad}"{k}": {field(v, indent + 2)}' for k, v in value.items()]
            return "{\n" + ",\n".join(lines) + "\n" + " " * indent + "}"
        return json.dumps(value)

    path.write_text(field(CONFIG, 0) + "\n")


def logits_of(model, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return torch.cat([model(part) for part in x.split(60)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only-write", action="store_true")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent.parent / "data" / "digits")
    args = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    grey, labels = pictures()
    held_out = np.arange(len(grey)) % 5 == 0
    x = torch.from_numpy(np.stack([preprocess(g) for g in grey]))
    y = torch.from_numpy(labels)
    (args.out / "held-out").mkdir(parents=True, exist_ok=True)
    for i in np.flatnonzero(held_out):
        Image.fromarray(grey[i]).save(args.out / "held-out" / f"{i:04d}_{labels[i]}.png", optimize=True)
    write_config(args.out / "config.json")

    model = Dinat(CONFIG)
    weights = args.out / "dinat_digits.safetensors"
    if args.only_write:
        model.load_state_dict({n: torch.from_numpy(t.copy()) for n, t in tensorfile.load(weights).items()})
    else:
        train(model, x[~held_out], y[~held_out], args.epochs)
        tensorfile.save(weights, {n: t.numpy() for n, t in model.state_dict().items()})

    model.double().eval()
    logits = logits_of(model, x[held_out].double())
    tensorfile.save(args.out / "expect.safetensors",
                    {"input": x[held_out][:8].numpy(), "logits": logits[:8].float().numpy()})
    right = (logits.argmax(1) == y[held_out]).sum().item()
    wrong = np.flatnonzero(held_out)[(logits.argmax(1) != y[held_out]).numpy()].tolist()
    print(f"parameters {sum(p.numel() for p in model.parameters())}; held-out {right} of {held_out.sum()} right "
          f"({100 * right / held_out.sum():.2f} %); wrong: {wrong}")


if __name__ == "__main__":
    main()
