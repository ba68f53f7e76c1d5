"""A pool of drawn pictures with tokenised captions, kept in the memory of one device."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from multiprocessing.pool import Pool as Workers
from random import Random

import numpy as np
import torch
from torch import Tensor

from tools.demo_models.corpus import training_caption, training_spec
from tools.demo_models.draw import draw_packed
from tools.demo_models.labels import labels
from tools.demo_models.primitives import pack
from tools.demo_models.scenes import paint
from tools.demo_models.tokens import Tokenizers

Size = tuple[int, int]
WORDINGS = 4
CHUNK = 4096


@dataclass
class Shelf:
    """Pictures of one size: uint8 [N, 3, H, W], token ids [N, 4, L] for each tokenizer, classes [N, Q]."""

    pictures: Tensor
    classes: Tensor
    ids: list[Tensor]

    def __len__(self) -> int:
        return len(self.classes)


def describe_chunk(tokenizers: Tokenizers, count: int, seed: int) -> tuple[np.ndarray, ...]:
    """Packed paintings, token ids and classes of `count` descriptions; runs in a worker process."""
    rng = Random(seed)
    specs = [training_spec(rng) for _ in range(count)]
    captions = [training_caption(spec, rng) for spec in specs for _ in range(WORDINGS)]
    ids = [ids.reshape(count, WORDINGS, -1) for ids in tokenizers(captions)]
    classes = np.array([labels(spec) for spec in specs], np.int16)
    return *pack([paint(spec) for spec in specs]), classes, *ids


def fill(
    workers: Workers, tokenizers: Tokenizers, sizes: dict[Size, int], seed: int, device: str
) -> dict[Size, Shelf]:
    """Draw about the wanted number of pictures of each size; the numbers round up to chunks."""
    count = min(CHUNK, max(sizes.values()))
    order = [size for size, wanted in sizes.items() for _ in range(-(-wanted // count))]
    parts: dict[Size, list[tuple[Tensor, ...]]] = {size: [] for size in sizes}
    described = workers.imap(
        partial(describe_chunk, tokenizers, count), range(seed, seed + len(order))
    )
    for size, chunk in zip(order, described):
        grounds, table, *texts = chunk
        drawn = (draw_packed(grounds, table, *size, device) * 255).round().to(torch.uint8)
        parts[size].append((drawn, *(torch.from_numpy(text).to(device) for text in texts)))
    shelves = {}
    for size, rows in parts.items():
        pictures, classes, *ids = map(torch.cat, zip(*rows))
        shelves[size] = Shelf(pictures, classes, ids)
    return shelves
