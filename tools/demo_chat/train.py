"""Trains demo-chat from nothing: python -m tools.demo_chat.train --folder build/demo-chat

With several GPUs: torchrun --standalone --nproc-per-node=4 -m tools.demo_chat.train ...
With --part-seconds the command stops in time and, given again, goes on
with fresh dialogues. The model ends in FOLDER/model.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import shutil
import time
from pathlib import Path
from random import Random

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional
from transformers import LlamaForCausalLM

from tools.demo_chat.model import new_model
from tools.demo_chat.pool import Shelf, fill
from tools.demo_chat.vocabulary import SPECIAL, load
from tools.demo_models.stages import Loss, PartOverError, Recipe, Stage, optimise
from tools.demo_models.training import autocast, share, start_processes, world

PROMPT_WEIGHT = 0.1
"""Of a token before the reply, against 1 of the reply's; padding weighs nothing."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="state and model")
    parser.add_argument("--seconds", type=float, default=480, help="of training in all")
    parser.add_argument("--part-seconds", type=float, default=math.inf, help="of this run")
    parser.add_argument("--dialogues", type=int, default=1_000_000, help="a GPU and run")
    parser.add_argument("--workers", type=int, default=14, help="processes that write them, a GPU")
    parser.add_argument("--tokens", type=int, default=32_768, help="a step and GPU")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--noise", type=float, default=0.1, help="share of question tokens changed")
    parser.add_argument("--dropout", type=float, default=0.1, help="of attention")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def disturb(ids: Tensor, starts: Tensor, share: float, words: range) -> Tensor:
    """The ids [B, L] with a share of the tokens before each row's reply exchanged for others by
    lot, so that an answer hangs on no single token of a question; only tokens in `words` are. The
    share differs by row, from none to twice as much."""
    device = ids.device
    before = torch.arange(ids.shape[1], device=device) < starts[:, None]
    plain = (ids >= words.start) & (ids < words.stop)
    shares = 2 * share * torch.rand(len(ids), 1, device=device)
    chosen = torch.rand(ids.shape, device=device) < shares
    others = torch.randint(words.start, words.stop, ids.shape, device=device)
    return torch.where(before & plain & chosen, others, ids)


def weighted_loss(
    model: torch.nn.Module, given: Tensor, ids: Tensor, starts: Tensor, pad: int
) -> tuple[Tensor, Tensor]:
    """Weighted cross-entropy and the plain one of the replies, for ids [B, L] of which the model
    sees `given`, and starts [B]."""
    inputs, targets = given[:, :-1], ids[:, 1:]
    logits = model(input_ids=inputs, use_cache=False).logits
    losses = functional.cross_entropy(
        logits.float().flatten(0, 1), targets.flatten(), reduction="none"
    )
    losses = losses.view_as(targets)
    replies = (torch.arange(1, ids.shape[1], device=ids.device) >= starts[:, None]) & (
        targets != pad
    )
    weights = torch.where(replies, 1.0, PROMPT_WEIGHT * (targets != pad))
    return (losses * weights).sum() / weights.sum(), (
        losses * replies
    ).sum().detach() / replies.sum()


def fit(
    model: LlamaForCausalLM, shelves: dict[int, Shelf], stage: Stage, options: argparse.Namespace
) -> None:
    """Train in place; every batch is of one width, chosen by the tokens that the widths hold."""
    if options.compile:
        torch._dynamo.config.recompile_limit = 8 * len(shelves)
        for layer in model.model.layers:  # one small graph for all, compiled anew for each width
            layer.compile(dynamic=False)
    pad = model.config.pad_token_id
    words = range(len(SPECIAL), model.config.vocab_size - 2)
    shared = _shared_shares(shelves, stage.device)

    def loss_of(fraction: float, order: Random) -> Loss:
        width = order.choices(list(shared), list(shared.values()))[0]
        shelf, count = shelves[width], max(1, options.tokens // width)
        rows = torch.randint(len(shelf), (count,), device=stage.device)
        with autocast(stage.device):
            ids, starts = shelf.ids[rows].long(), shelf.starts[rows].long()
            given = disturb(ids, starts, options.noise, words)
            loss, replies = weighted_loss(model, given, ids, starts, pad)
        return loss, options.tokens, {"replies": replies}

    optimise(stage, list(model.parameters()), Recipe(options.rate, 0.05), loss_of)


def _shared_shares(shelves: dict[int, Shelf], device: str) -> dict[int, int]:
    """Tokens of each width, alike on all GPUs."""
    sizes = torch.tensor([len(shelf) * width for width, shelf in shelves.items()], device=device)
    if dist.is_initialized():
        dist.broadcast(sizes, 0)
    return dict(zip(shelves, sizes.tolist()))


def train(options: argparse.Namespace) -> None:
    began = time.monotonic()

    def note(text: str) -> None:
        if world()[0] == 0:
            print(f"[{time.monotonic() - began:7.1f}s] {text}", flush=True)

    folder = options.folder / "tokenizer"
    tokenizer = load(folder)
    run = int(time.time()) % 1000 if options.part_seconds < math.inf else 0
    rank = int(os.environ.get("RANK", "0"))
    seed = options.seed * 1_000_000_000 + run * 1_000_000 + rank * 10_000
    with multiprocessing.get_context("fork").Pool(options.workers) as workers:
        device = start_processes()
        shelves = fill(workers, folder, options.dialogues, seed, device)
    note(", ".join(f"{len(shelf)} of {width}" for width, shelf in shelves.items()))
    torch.manual_seed(options.seed)
    model = new_model(tokenizer, options.layers, options.width).to(device)
    for layer in model.model.layers:
        layer.self_attn.attention_dropout = options.dropout
    note(f"{model.num_parameters() / 1e6:.2f}M parameters on {device}")
    share(model)
    deadline = began + options.part_seconds
    stage = Stage("chat", options.seconds, device, options.folder, deadline)
    if stage.over:
        note("trained already; remove chat.done to train it again")
        return
    try:
        fit(model, shelves, stage, options)
    except PartOverError as over:
        note(f"stopped in time, {over}; the same command goes on")
        return
    if world()[0] == 0:
        model.to(torch.bfloat16).save_pretrained(options.folder / "model")
        shutil.copytree(folder, options.folder / "model", dirs_exist_ok=True)
        stage.finish()
        note("model written")


def main() -> None:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # cuDNN's attention gave NaN, then illegal memory accesses, in its backward pass (torch 2.11).
    torch.backends.cuda.enable_cudnn_sdp(False)
    torch.backends.cuda.matmul.allow_tf32 = True
    train(arguments())
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
