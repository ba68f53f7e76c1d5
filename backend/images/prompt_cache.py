"""Embeddings of the prompts seen last, so that a repeated prompt skips the text encoders."""

from collections import OrderedDict
from collections.abc import Callable

import torch

Embeddings = dict[str, torch.Tensor]

BUDGET_BYTES = 256 * 1024**2
"""About sixty prompts of FLUX.1-dev, whose T5 embedding is 512 x 4096 in BF16."""


class PromptCache:
    """The least recently used go first. One belongs to one loaded pipeline: another one's text
    encoders may answer otherwise."""

    def __init__(self, budget_bytes: int = BUDGET_BYTES) -> None:
        self._budget_bytes = budget_bytes
        self._kept: OrderedDict[tuple[str, ...], Embeddings] = OrderedDict()

    def embeddings(self, key: tuple[str, ...], encode: Callable[[], Embeddings]) -> Embeddings:
        """What `encode` returned for `key` before, else now."""
        if key not in self._kept:
            self._kept[key] = encode()
        self._kept.move_to_end(key)
        while self._bytes() > self._budget_bytes and len(self._kept) > 1:
            self._kept.popitem(last=False)
        return self._kept[key]

    def _bytes(self) -> int:
        return sum(
            tensor.nbytes for embeddings in self._kept.values() for tensor in embeddings.values()
        )
