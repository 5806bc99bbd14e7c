#!/usr/bin/env python3
"""Prints what Pillow makes of tests/data/photo/china.jpg as published evaluations prepare it: FNV-1a, 64 bit, of the RGB
bytes, a line per case of tests/unit/test_io_picture.c (crops_as_published).  Needs Pillow."""
import math
from pathlib import Path

from PIL import Image

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC,
           "lanczos": Image.Resampling.LANCZOS}
CASES = [("crop", 224, 224, 0.875, "bicubic"), ("crop", 224, 224, 0.9, "bicubic"), ("crop", 100, 100, 0.95, "bilinear"),
         ("crop", 224, 224, 1.0, "lanczos"), ("squash", 224, 224, 0.875, "bicubic"), ("squash", 384, 384, 1.0, "bicubic"),
         ("squash", 97, 33, 0.9, "bilinear"), ("crop", 97, 33, 0.9, "bilinear"), ("crop", 33, 97, 0.9, "bicubic")]


def fnv(data: bytes) -> int:
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & ((1 << 64) - 1)
    return h


photo = Image.open(Path(__file__).resolve().parent.parent / "data" / "photo" / "china.jpg").convert("RGB")
for fit, width, height, share, name in CASES:
    across, down = math.floor(width / share), math.floor(height / share)
    if fit == "crop" and photo.width * down <= photo.height * across:
        down = int(across * photo.height / photo.width)
    elif fit == "crop":
        across = int(down * photo.width / photo.height)
    # columns first, then rows: see resize.py
    whole = photo.resize((across, photo.height), FILTERS[name]).resize((across, down), FILTERS[name])
    left, top = round((across - width) / 2), round((down - height) / 2)
    cut = whole.crop((left, top, left + width, top + height))
    print(f"{fit} {width} x {height} {share} {name} 0x{fnv(cut.tobytes()):016x}")
