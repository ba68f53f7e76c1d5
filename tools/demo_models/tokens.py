"""Tokenizers kept in a folder, with one call that turns captions into padded token arrays."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from transformers import CLIPTokenizer, T5Tokenizer

from tools.demo_models.corpus import training_caption, training_spec
from tools.demo_models.models import CLIP_VOCABULARY, T5_VOCABULARY
from tools.demo_models.vocabulary import clip_tokenizer, t5_tokenizer, word_counts

SAMPLE_CAPTIONS = 80_000
MAKERS: dict[str, tuple[type, Callable[[Counter[str]], Any]]] = {
    "clip": (CLIPTokenizer, lambda counts: clip_tokenizer(counts, CLIP_VOCABULARY)),
    "t5": (T5Tokenizer, lambda counts: t5_tokenizer(counts, T5_VOCABULARY)),
}


@dataclass(frozen=True)
class Tokenizers:
    kinds: dict[str, CLIPTokenizer | T5Tokenizer]

    def __call__(self, captions: list[str]) -> list[np.ndarray]:
        """Ids [N, L] of each tokenizer, padded and cut to its length as pipelines do."""
        texts = [
            one(captions, padding="max_length", max_length=one.model_max_length, truncation=True)
            for one in self.kinds.values()
        ]
        return [np.array(text.input_ids, np.int16) for text in texts]


def _keep(tokenizer: CLIPTokenizer | T5Tokenizer, folder: Path) -> None:
    """Save whole or, where another process was first, not at all."""
    with tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as made:
        tokenizer.save_pretrained(made)
        with suppress(OSError):
            Path(made).replace(folder)


def load_tokenizers(folder: Path, kinds: tuple[str, ...]) -> Tokenizers:
    """The tokenizers kept in `folder`, made of the words of a fixed sample of captions if missing."""
    if not all((folder / kind).exists() for kind in kinds):
        rng = Random(20)
        captions = (training_caption(training_spec(rng), rng) for _ in range(SAMPLE_CAPTIONS))
        counts = word_counts(captions)
        for kind in kinds:
            _keep(MAKERS[kind][1](counts), folder / kind)
    return Tokenizers({kind: MAKERS[kind][0].from_pretrained(folder / kind) for kind in kinds})
