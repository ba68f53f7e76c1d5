"""Sample answers: what greedy decoding says, whatever else is asked at the same time."""

from pathlib import Path
from typing import Any

import torch

from backend.quantize.language.load import load_model, load_tokenizer
from backend.quantize.language.questions import QUESTIONS
from backend.quantize.language.samples import Asking, answers
from tests.tiny_llama import make_tiny_llama

TOKENS = 4


def alone(model: Any, tokenizer: Any, prompt: str) -> str:
    """The likeliest token after token, of one prompt without padding."""
    words = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
    )
    found = tokenizer(words, add_special_tokens=False, return_tensors="pt")["input_ids"]
    start = found.shape[1]
    with torch.inference_mode():
        for _ in range(TOKENS):
            found = torch.cat((found, model(found).logits[:, -1].argmax(-1)[None]), 1)
    return str(tokenizer.decode(found[0, start:], skip_special_tokens=True).strip())


def test_an_answer_is_that_of_the_prompt_alone_and_is_kept(tmp_path: Path) -> None:
    folder = make_tiny_llama(tmp_path / "tiny")
    model, tokenizer = load_model(folder, torch.device("cpu")).float(), load_tokenizer(folder)
    steps: list[tuple[int, int]] = []
    found = answers(model, tokenizer, TOKENS, lambda *step: steps.append(step))
    assert found == [alone(model, tokenizer, question.prompt) for question in QUESTIONS]
    assert len(set(found)) > 1 and steps == [(step, TOKENS) for step in range(1, TOKENS + 1)]
    asking = Asking(folder, tmp_path, TOKENS)
    asking.before(model, lambda *step: None)
    asking.before(None, lambda *step: None)
    again = asking.after(model, "quantised", lambda *step: None)
    assert [each.before for each in again.answers] == [each.after for each in again.answers]
