#!/usr/bin/env python3
"""Makes tests/data/pictures: small files of every kind that a picture may come in, and prints what Pillow reads in them
(FNV-1a, 64 bit, of the RGB bytes). Needs Pillow and numpy.

    pictures.py OUT          writes the files and prints one line each: name, width, height, hash
"""
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def fnv(data: bytes) -> int:
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & ((1 << 64) - 1)
    return h


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png16(path: Path, a: np.ndarray) -> None:
    """RGB with 16 bits per sample, which Pillow cannot write."""
    h, w, _ = a.shape
    rows = b"".join(b"\0" + a[y].astype(">u2").tobytes() for y in range(h))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 16, 2, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def adam7(path: Path, a: np.ndarray) -> None:
    """Interlaced RGB."""
    h, w, _ = a.shape
    raw = b""
    for x0, y0, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
        part = a[y0::dy, x0::dx]
        if part.size:
            raw += b"".join(b"\0" + row.tobytes() for row in part)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 1))
                     + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    y, x = np.mgrid[0:19, 0:26]
    smooth = np.stack([x * 9, y * 12, (x + y) * 5], -1).astype(np.uint8)
    noisy = rng.integers(0, 256, (11, 13, 4), dtype=np.uint8)
    rgb = Image.fromarray(smooth)
    rgb.save(out / "rgb.png")
    Image.fromarray(noisy).save(out / "rgba.png")
    Image.fromarray(noisy[:, :, :2].copy(), "LA").save(out / "grey-alpha.png")
    rgb.convert("L").save(out / "grey.png")
    rgb.convert("L").point(lambda v: 255 if v > 90 else 0).convert("1").save(out / "bits.png")
    rgb.quantize(11).save(out / "palette.png", transparency=3)
    png16(out / "deep.png", rng.integers(0, 65536, (7, 5, 3)))
    adam7(out / "interlaced.png", smooth)
    rgb.save(out / "rgb.jpg", quality=90)
    rgb.save(out / "full.jpg", quality=90, subsampling=0)
    rgb.save(out / "progressive.jpg", quality=80, progressive=True)
    rgb.convert("L").save(out / "grey.jpg", quality=90)
    rgb.convert("CMYK").save(out / "cmyk.jpg", quality=90)
    for file in sorted(out.iterdir()):
        if file.suffix in (".png", ".jpg"):
            with Image.open(file) as p:
                print(f"{file.name} {p.width} {p.height} 0x{fnv(p.convert('RGB').tobytes()):016x}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
