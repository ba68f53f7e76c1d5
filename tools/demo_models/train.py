"""Trains a demo pipeline from nothing: python -m tools.demo_models.train demo-sdxl --folder build/demo-sdxl

With several GPUs: torchrun --standalone --nproc-per-node=4 -m tools.demo_models.train ...
On a GPU add --compile. With --part-seconds the command stops in time and, given again, goes on.
Stages of 0 seconds are skipped, like those that are over; their weights are read from the folder.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import time
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist

from tools.demo_models import flux, sdxl
from tools.demo_models.family import Family, Seconds
from tools.demo_models.pool import Shelf, Size, fill
from tools.demo_models.stages import PartOverError
from tools.demo_models.tokens import Tokenizers, load_tokenizers
from tools.demo_models.trainer import Trainer
from tools.demo_models.training import start_processes

OTHER_SIZES = (
    *((side, side) for side in (64, 96, 160, 192, 224)),
    *((256, 192), (192, 256), (256, 128), (128, 256), (128, 192), (192, 128)),
)
POOL: dict[Size, int] = {(128, 128): 90_000, (256, 256): 57_000} | dict.fromkeys(OTHER_SIZES, 8_000)
FAMILIES: dict[str, tuple[type[flux.FluxFamily] | type[sdxl.SdxlFamily], tuple[str, ...], Seconds]]
FAMILIES = {
    "demo-flux": (flux.FluxFamily, flux.TOKENIZERS, flux.SECONDS),
    "demo-sdxl": (sdxl.SdxlFamily, sdxl.TOKENIZERS, sdxl.SECONDS),
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=FAMILIES)
    parser.add_argument("--folder", type=Path, required=True, help="weights in and out")
    for stage in ("vae", "text", "denoiser", "distil", "decoder"):
        parser.add_argument(f"--{stage}-seconds", type=float)
    parser.add_argument("--part-seconds", type=float, default=math.inf, help="of this run")
    parser.add_argument("--first-fraction", type=float, default=0.0, help="0.4: skip small-only")
    parser.add_argument("--batch", type=int, default=512, help="128 px pictures a step and GPU")
    parser.add_argument("--pool", type=float, default=1.0, help="share of the usual pool")
    parser.add_argument("--workers", type=int, default=14, help="caption processes a GPU")
    parser.add_argument(
        "--channels-last", action="store_true", help="layout of pictures and latents"
    )
    parser.add_argument("--compile", action="store_true", help="the denoiser's blocks")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def chosen_seconds(options: argparse.Namespace, usual: Seconds) -> Seconds:
    given = {name: getattr(options, f"{name}_seconds") for name in vars(usual)}
    return replace(usual, **{name: value for name, value in given.items() if value is not None})


def draw_pool(options: argparse.Namespace, tokenizers: Tokenizers) -> tuple[str, dict[Size, Shelf]]:
    """The device of this process and its own pictures, other ones in every run."""
    sizes = {size: max(1, int(n * options.pool)) for size, n in POOL.items()}
    run = int(time.time()) % 1000 if options.part_seconds < math.inf else 0
    rank = int(os.environ.get("RANK", "0"))
    seed = options.seed * 10_000_000_000 + run * 10_000_000 + rank * 1_000_000
    with multiprocessing.get_context("fork").Pool(options.workers) as workers:
        device = start_processes()
        return device, fill(workers, tokenizers, sizes, seed, device)


def train(options: argparse.Namespace) -> None:
    began = time.monotonic()
    make, kinds, usual = FAMILIES[options.model]
    options.folder.mkdir(parents=True, exist_ok=True)
    tokenizers = load_tokenizers(options.folder, kinds)
    device, shelves = draw_pool(options, tokenizers)
    torch.manual_seed(options.seed)
    family: Family = make(tokenizers)
    trainer = Trainer(family, shelves, chosen_seconds(options, usual), options, device, began)
    try:
        trainer.run()
    except PartOverError as over:
        trainer.note(f"stopped in time, {over}; the same command goes on")


def main() -> None:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # cuDNN's attention gave NaN, then illegal memory accesses, in its backward pass (torch 2.11).
    torch.backends.cuda.enable_cudnn_sdp(False)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    train(arguments())
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
