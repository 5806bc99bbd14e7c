#!/usr/bin/env python3
"""Makes tests/data/photo/china.jpg from scikit-learn's sample image.  Needs scikit-learn and Pillow."""
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_sample_image

out = Path(__file__).resolve().parent.parent / "data" / "photo" / "china.jpg"
photo = Image.fromarray(load_sample_image("china.jpg"))  # 640 x 427
photo.resize((480, 320), Image.Resampling.LANCZOS).save(out, quality=88, optimize=True)
