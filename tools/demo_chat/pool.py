"""Dialogues as token ids in the memory of one device, in shelves by length."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.pool import Pool as Workers
from pathlib import Path
from random import Random

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tools.demo_chat.dialogues import prose, training_dialogues
from tools.demo_chat.heldout import banned
from tools.demo_chat.template import BEGIN, END, PAD, prompt, reply
from tools.demo_chat.vocabulary import CONTEXT, read

WIDTHS = (48, 64, 96, 128, 192, 256, 384, CONTEXT)
CHUNK = 5000
PROSE_SHARE = 0.04
Row = tuple[NDArray[np.int16], int]


@dataclass
class Shelf:
    """Rows of one width: token ids int16 [N, L], padded to the right, and where replies begin [N]."""

    ids: Tensor
    starts: Tensor

    def __len__(self) -> int:
        return len(self.starts)


def texts(seed: int, count: int) -> Iterator[tuple[str, str]]:
    """Pairs of a prompt and what is to follow it."""
    rng = Random(seed)
    for row in training_dialogues(seed, count, banned()):
        if rng.random() < PROSE_SHARE:
            yield BEGIN, prose(rng) + END
        else:
            yield prompt(row.messages), reply(row.thought, row.answer)


def encode(folder: Path, seed: int, count: int = CHUNK) -> list[Row]:
    """Token ids of fresh dialogues and where their replies begin; runs in a worker process.

    Prompt and reply are cut into tokens apart, as they are when the model is used.
    """
    tokenizer = read(folder)
    pairs = list(texts(seed, count))
    halves = [
        tokenizer.encode_batch_fast([pair[side] for pair in pairs], add_special_tokens=False)
        for side in (0, 1)
    ]
    rows = []
    for before, after in zip(*halves):
        if len(before.ids) + len(after.ids) <= CONTEXT:
            rows.append((np.array(before.ids + after.ids, np.int16), len(before.ids)))
    return rows


def shelve(
    chunks: Iterator[list[Row]], pad: int
) -> dict[int, tuple[NDArray[np.int16], NDArray[np.int16]]]:
    """Rows put into the narrowest width that holds them."""
    sorted_rows: dict[int, list[Row]] = {width: [] for width in WIDTHS}
    for chunk in chunks:
        for row in chunk:
            width = next(width for width in WIDTHS if len(row[0]) <= width)
            sorted_rows[width].append(row)
    shelves = {}
    for width, rows in sorted_rows.items():
        if rows:
            ids = np.full((len(rows), width), pad, np.int16)
            for place, (tokens, _) in zip(ids, rows):
                place[: len(tokens)] = tokens
            shelves[width] = (ids, np.array([start for _, start in rows], np.int16))
    return shelves


def _work(task: tuple[Path, int, int]) -> dict[int, tuple[NDArray[np.int16], NDArray[np.int16]]]:
    folder, seed, pad = task
    return shelve(iter([encode(folder, seed)]), pad)


def fill(workers: Workers, folder: Path, count: int, seed: int, device: str) -> dict[int, Shelf]:
    """About `count` dialogues; other ones for every seed below 2**31."""
    pad = read(folder).token_to_id(PAD)
    tasks = [(folder, seed + index, pad) for index in range(math.ceil(count / CHUNK))]
    parts: dict[int, list[tuple[NDArray[np.int16], NDArray[np.int16]]]] = {}
    for made in workers.imap_unordered(_work, tasks):
        for width, arrays in made.items():
            parts.setdefault(width, []).append(arrays)
    return {
        width: Shelf(
            *(torch.from_numpy(np.concatenate(column)).to(device) for column in zip(*rows))
        )
        for width, rows in sorted(parts.items())
    }
