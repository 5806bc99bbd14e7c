#!/usr/bin/env python3
"""Makes tests/data/resize: pictures and what Pillow makes of them at other sizes.  Needs numpy and Pillow.

Names: <source>.png and <source>_<filter>_<width>x<height>.png.  Every result is 8 bits per channel and has the mode
(grey or RGB) of its source; a reader of the pictures must get exactly these bytes.
"""
from pathlib import Path

import numpy as np
from PIL import Image

FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
# Down and up, odd and even, one axis kept, one axis up and the other down, to one pixel and to one row.
SIZES = {
    "rgb": [(17, 11), (18, 12), (37, 23), (37, 9), (11, 23), (50, 7), (5, 61), (74, 46), (96, 96), (1, 1), (37, 1)],
    "grey": [(4, 3), (9, 8), (13, 29), (8, 8), (31, 5), (96, 96), (1, 17)],
    "edges": [(10, 10), (23, 23), (45, 45), (64, 3)],
}


def resize(source: Image.Image, width: int, height: int, how) -> Image.Image:
    """Columns first, then rows, with 8 bits between.  One call of Pillow does the same, except that Pillow 13 and later
    does the rows first where the height shrinks much more than the width; two calls keep all versions equal."""
    return source.resize((width, source.height), how).resize((width, height), how)


def rgb() -> np.ndarray:
    """37 x 23: a gradient per channel with noise over it."""
    random = np.random.default_rng(7)
    y, x = np.mgrid[0:23, 0:37]
    ramp = np.stack([x * 255 / 36, y * 255 / 22, (x + y) * 255 / 58], -1)
    return np.clip(ramp + random.normal(0, 30, ramp.shape), 0, 255).astype(np.uint8)


def grey() -> np.ndarray:
    """9 x 8: noise over the whole range."""
    return np.random.default_rng(8).integers(0, 256, (8, 9), dtype=np.uint8)


def edges() -> np.ndarray:
    """23 x 23 RGB: black and white only, so that bicubic and Lanczos overshoot and must be clipped."""
    y, x = np.mgrid[0:23, 0:23]
    planes = [(x // 3 + y // 3) % 2, (x - 11) ** 2 + (y - 11) ** 2 < 60, x > y]
    return (np.stack(planes, -1) * 255).astype(np.uint8)


def main() -> None:
    out = Path(__file__).resolve().parent.parent / "data" / "resize"
    out.mkdir(parents=True, exist_ok=True)
    for name, pixels in (("rgb", rgb()), ("grey", grey()), ("edges", edges())):
        source = Image.fromarray(pixels)
        source.save(out / f"{name}.png", optimize=True)
        for filter_name, how in FILTERS.items():
            for width, height in SIZES[name]:
                result = resize(source, width, height, how)
                result.save(out / f"{name}_{filter_name}_{width}x{height}.png", optimize=True)


if __name__ == "__main__":
    main()
