#!/usr/bin/env python3
"""Times the peer networks in eager PyTorch: one 224 x 224 picture, on the CPU.  Needs PyTorch.

    peer_torch.py [--threads N] [--models a,b] [--seconds S] [--dtype f32|bf16|f16] [--channels-last]
                  [--json FILE]

Prints `name threads median_ms min_ms` per model.  The weights are random: the times do not depend on them.
"""
import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from peer_attention_nets import Nat, Swin, Vit, prepare
from peer_conv_nets import ConvNext, Resnet

MODELS = {"vit_b16": Vit, "swin_t": Swin, "resnet50": Resnet, "convnext_t": ConvNext, "nat_mini": Nat}
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
WARM_UP, FEWEST = 3, 10


def times_ms(model, inputs, seconds: float):
    """Milliseconds of every run after the warm-up: for about `seconds`, and no fewer than FEWEST."""
    with torch.inference_mode():
        for _ in range(WARM_UP):
            model(*inputs)
        times, end = [], time.perf_counter() + seconds
        while len(times) < FEWEST or time.perf_counter() < end:
            start = time.perf_counter()
            model(*inputs)
            times.append((time.perf_counter() - start) * 1e3)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--models", default=",".join(MODELS), help="of " + ", ".join(MODELS))
    parser.add_argument("--seconds", type=float, default=5.0, help="measuring time per model")
    parser.add_argument("--dtype", choices=DTYPES, default="f32", help="of parameters and activations")
    parser.add_argument("--channels-last", action="store_true", help="convolutions on channels-last memory")
    parser.add_argument("--json", type=Path, help="write the results here too")
    args = parser.parse_args()
    names = args.models.split(",")
    if not set(names) <= set(MODELS):
        parser.error(f"no model {', '.join(sorted(set(names) - set(MODELS)))}; there are {', '.join(MODELS)}")

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    layout = torch.channels_last if args.channels_last else torch.contiguous_format
    results = []
    for name in names:
        dtype = DTYPES[args.dtype]
        model = prepare(MODELS[name]()).to(dtype=dtype, memory_format=layout)
        x = torch.randn(1, 3, 224, 224).to(dtype=dtype, memory_format=layout)
        times = times_ms(model, (x,), args.seconds)
        median, least = statistics.median(times), min(times)
        print(f"{name} {args.threads} {median:.2f} {least:.2f}", flush=True)
        results.append({"name": name, "threads": args.threads, "median_ms": round(median, 3),
                        "min_ms": round(least, 3), "runs": len(times), "channels_last": args.channels_last})
    if args.json:
        args.json.write_text(json.dumps({"peer": f"PyTorch {torch.__version__}, eager, {args.dtype}, batch 1, 224 x 224",
                                         "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
