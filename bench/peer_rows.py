#!/usr/bin/env python3
"""Times the work of `fovea bench amx` in eager PyTorch: bf16, one thread, on the CPU.  Needs PyTorch.

    peer_rows.py [--seconds S] [--dtype bf16|f32] [--json FILE]

Prints `name min_ms` per row; the names are those of `fovea bench amx`.
"""
import argparse
import json
from pathlib import Path

import torch
from torch.nn import functional as F

from peer_torch import DTYPES, times_ms


def linear(rows, width, out, gelu=False):
    def make(dtype):
        x, w, b = torch.randn(rows, width), torch.randn(out, width) / width**0.5, torch.randn(out)
        x, w, b = x.to(dtype), w.to(dtype), b.to(dtype)
        return lambda: F.gelu(F.linear(x, w, b)) if gelu else F.linear(x, w, b)

    return make


def dense(heads, tokens, d):
    def make(dtype):
        q, k, v = (torch.randn(1, heads, tokens, d).to(dtype) for _ in range(3))
        return lambda: F.scaled_dot_product_attention(q, k, v)

    return make


def windows(side, window, heads, d):
    """Windows of a map: cut out of it, attended with a bias, put back."""

    def make(dtype):
        n = side // window
        qkv = torch.randn(3, side, side, heads, d).to(dtype)
        bias = torch.randn(1, heads, window**2, window**2).to(dtype)

        def run():
            x = qkv.view(3, n, window, n, window, heads, d).permute(0, 1, 3, 5, 2, 4, 6)
            q, k, v = x.reshape(3, n * n, heads, window**2, d)
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
            return y.view(n, n, heads, window, window, d).permute(0, 3, 1, 4, 2, 5).reshape(side, side, heads, d)

        return run

    return make


def conv(side, channels):
    def make(dtype):
        layout = torch.channels_last
        x = torch.randn(1, channels, side, side).to(dtype).to(memory_format=layout)
        w = (torch.randn(channels, channels, 3, 3) / (9 * channels) ** 0.5).to(dtype).to(memory_format=layout)
        return lambda: F.conv2d(x, w, padding=1)

    return make


ROWS = {
    "linear 196x768x2304": linear(196, 768, 2304),
    "linear 196x768x768": linear(196, 768, 768),
    "linear 197x3072x768": linear(197, 3072, 768),
    "linear 1024x768x768": linear(1024, 768, 768),
    "linear 3136x96x384": linear(3136, 96, 384),
    "the same, bias and GELU": linear(3136, 96, 384, gelu=True),
    "dense attention 196 d 32": dense(12, 196, 32),
    "dense attention 196 d 64": dense(12, 196, 64),
    "dense attention 196 d 128": dense(12, 196, 128),
    "dense attention 1024 d 32": dense(4, 1024, 32),
    "dense attention 1024 d 64": dense(4, 1024, 64),
    "dense attention 1024 d 128": dense(4, 1024, 128),
    "192 windows of 49, bias, d 32": windows(56, 7, 3, 32),
    "conv 3x3 64->64 at 56": conv(56, 64),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.5, help="measuring time per row")
    parser.add_argument("--dtype", choices=DTYPES, default="bf16")
    parser.add_argument("--json", type=Path, help="write the results here too")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    results = []
    for name, make in ROWS.items():
        least = min(times_ms(make(DTYPES[args.dtype]), (), args.seconds))
        print(f"{name} {least:.4f}", flush=True)
        results.append({"name": name, "threads": 1, "min_ms": round(least, 5)})
    if args.json:
        args.json.write_text(json.dumps({"peer": f"PyTorch {torch.__version__}, eager, {args.dtype}, one thread",
                                         "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
