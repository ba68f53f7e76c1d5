"""What a model answers to a few fixed prompts, before and after it was quantised, greedily."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from backend.contracts import SampleAnswer, Samples
from backend.quantize.language.load import load_tokenizer
from backend.quantize.language.questions import QUESTIONS

Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Asking:
    """How the prompts are put: `tokens` are those of an answer at the most."""

    folder: Path
    """Of the model's tokenizer."""
    work: Path
    """Where answers are kept, so that a child that goes on finds them."""
    tokens: int

    def before(self, model: Any, on_done: Told) -> None:
        """Answers of the original, kept."""
        self._kept("answers_before.json", model, on_done)

    def after(
        self, model: Any, scope: Literal["quantised", "weights_only"], on_done: Told
    ) -> Samples:
        """Answers of the quantised model beside those of the original."""
        quantised = self._kept("answers_after.json", model, on_done)
        original = json.loads((self.work / "answers_before.json").read_text(encoding="utf-8"))
        pairs = zip(QUESTIONS, original["answers"], quantised["answers"], strict=True)
        return Samples(
            scope=scope,
            tokens=self.tokens,
            template=original["template"],
            answers=tuple(
                SampleAnswer(
                    purpose=question.purpose,
                    language=question.language,
                    prompt=question.prompt,
                    before=before,
                    after=after,
                )
                for question, before, after in pairs
            ),
        )

    def _kept(self, name: str, model: Any, on_done: Told) -> dict[str, Any]:
        file = self.work / name
        if not file.exists():
            tokenizer = load_tokenizer(self.folder)
            found = {
                "template": bool(tokenizer.chat_template),
                "answers": answers(model, tokenizer, self.tokens, on_done),
            }
            unfinished = file.with_suffix(".part")
            unfinished.write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")
            unfinished.replace(file)
        kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return kept


def answers(model: Any, tokenizer: Any, tokens: int, on_done: Told) -> list[str]:
    """One greedy answer a question, all at once, so that it takes `tokens` steps and no more.
    `on_done` is told the steps done, and their number."""
    from transformers import GenerationConfig

    end = model.generation_config.eos_token_id
    pad = tokenizer.pad_token_id
    if pad is None:
        pad = end[0] if isinstance(end, list) else end or 0
    rows = [_tokens(tokenizer, question.prompt) for question in QUESTIONS]
    longest = max(map(len, rows))
    words = torch.tensor([[pad] * (longest - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])

    def told(found: torch.Tensor, scores: Any, **rest: Any) -> torch.Tensor:
        on_done(found.shape[1] - longest, tokens)
        return torch.zeros(len(found), dtype=torch.bool, device=found.device)

    with torch.inference_mode():
        found = model.generate(
            words.to(model.device),
            attention_mask=mask.to(model.device),
            generation_config=GenerationConfig(
                do_sample=False, max_new_tokens=tokens, pad_token_id=pad, eos_token_id=end
            ),
            stopping_criteria=[told],
        )
    return [tokenizer.decode(row, skip_special_tokens=True).strip() for row in found[:, longest:]]


def _tokens(tokenizer: Any, prompt: str) -> list[int]:
    if not tokenizer.chat_template:
        plain: list[int] = tokenizer(prompt)["input_ids"]
        return plain
    words = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
    )
    found: list[int] = tokenizer(words, add_special_tokens=False)["input_ids"]
    return found
