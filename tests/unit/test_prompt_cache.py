"""Which prompts are encoded again."""

import torch

from backend.images.prompt_cache import Embeddings, PromptCache

KIB = 1024


class Encoder:
    def __init__(self, size_bytes: int = KIB) -> None:
        self.encoded: list[str] = []
        self._size_bytes = size_bytes

    def __call__(self, cache: PromptCache, prompt: str) -> Embeddings:
        def encode() -> Embeddings:
            self.encoded.append(prompt)
            return {"embeds": torch.zeros(self._size_bytes, dtype=torch.uint8)}

        return cache.embeddings((prompt,), encode)


def test_a_prompt_seen_before_is_not_encoded_again() -> None:
    cache, encoder = PromptCache(), Encoder()
    first = encoder(cache, "a red circle")
    encoder(cache, "a blue square")
    assert encoder(cache, "a red circle") is first
    assert encoder.encoded == ["a red circle", "a blue square"]


def test_the_least_recently_used_prompt_goes_first() -> None:
    cache, encoder = PromptCache(budget_bytes=2 * KIB), Encoder()
    for prompt in ("one", "two", "one", "three", "one", "two"):
        encoder(cache, prompt)
    assert encoder.encoded == ["one", "two", "three", "two"]


def test_a_prompt_larger_than_the_budget_is_kept_until_the_next() -> None:
    cache, encoder = PromptCache(budget_bytes=10), Encoder()
    encoder(cache, "one")
    encoder(cache, "one")
    encoder(cache, "two")
    encoder(cache, "one")
    assert encoder.encoded == ["one", "two", "one"]
