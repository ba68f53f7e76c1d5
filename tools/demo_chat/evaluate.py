"""The score of a trained model: python -m tools.demo_chat.evaluate FOLDER [--device cuda]

Greedy decoding. Prints every wrong answer, a table by kind, and whether the bars are met; exit
code 1 when one is not.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import GenerationConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tools.demo_chat.dialogues import Dialogue
from tools.demo_chat.heldout import known, unknown
from tools.demo_chat.package import PERPLEXITY, perplexity_rows
from tools.demo_chat.template import END, answer_of, prompt

BARS = {"known": 0.90, "unknown": 0.90, "ended": 0.99}
BATCH = 60


@dataclass(frozen=True)
class Verdict:
    row: Dialogue
    text: str

    @property
    def right(self) -> bool:
        return self.ended and self.row.judged(answer_of(self.text))

    @property
    def ended(self) -> bool:
        return self.text.endswith(END)


class Writer:
    """A model that answers many prompts at once."""

    def __init__(self, folder: Path, device: str = "cpu", temperature: float = 0.0) -> None:
        self.device = device
        self.tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        dtype = torch.float32 if device == "cpu" else torch.bfloat16
        self.model = LlamaForCausalLM.from_pretrained(folder, dtype=dtype).to(device).eval()
        usual = self.model.generation_config
        self.settings = GenerationConfig(
            max_new_tokens=usual.max_new_tokens,
            eos_token_id=usual.eos_token_id,
            pad_token_id=usual.pad_token_id,
            **(
                {"do_sample": True, "temperature": temperature}
                if temperature
                else {"do_sample": False}
            ),
        )

    def __call__(self, prompts: Sequence[str]) -> list[str]:
        """What the model writes after each prompt, up to and with its end mark."""
        inputs = self.tokenizer(
            list(prompts), add_special_tokens=False, padding=True, return_tensors="pt"
        ).to(self.device)
        with torch.inference_mode():
            written = self.model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                generation_config=self.settings,
            )
        texts = self.tokenizer.batch_decode(written[:, inputs["input_ids"].shape[1] :])
        return [text.replace(self.tokenizer.pad_token, "") for text in texts]

    def perplexity(self, texts: Sequence[str]) -> float:
        """exp of the mean loss of a token, each text on its own after the mark of its beginning."""
        loss, count = 0.0, 0
        for text in texts:
            ids = self.tokenizer(text, return_tensors="pt").input_ids.to(self.device)
            with torch.inference_mode():
                loss += float(self.model(input_ids=ids, labels=ids).loss) * (ids.shape[1] - 1)
            count += ids.shape[1] - 1
        return math.exp(loss / count)


def judge(writer: Writer, rows: Sequence[Dialogue]) -> Iterator[Verdict]:
    """Verdicts in the order of the rows, which are answered in order of their length."""
    texts = [prompt(row.messages) for row in rows]
    order = sorted(range(len(rows)), key=lambda index: len(texts[index]))
    answers = [""] * len(rows)
    for start in range(0, len(order), BATCH):
        part = order[start : start + BATCH]
        for index, answer in zip(part, writer([texts[index] for index in part])):
            answers[index] = answer
    yield from map(Verdict, rows, answers)


def table(verdicts: Sequence[Verdict]) -> str:
    cells: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for verdict in verdicts:
        for column in (verdict.row.language, "all"):
            cells[verdict.row.kind][column].append(verdict.right)
    lines = ["| kind | answers | English | Korean | all |", "|---|---|---|---|---|"]
    for kind, columns in cells.items():
        shares = (_percent(columns[column]) for column in ("en", "ko", "all"))
        lines.append(f"| {kind} | {len(columns['all'])} | {' | '.join(shares)} |")
    return "\n".join(lines)


def _percent(right: list[bool]) -> str:
    return f"{sum(right) / len(right):.0%}" if right else "-"


def show(verdict: Verdict) -> str:
    lines = [f"  {role}: {content}" for role, content in verdict.row.messages]
    return "\n".join(
        ("wrong:", *lines, f"  wrote: {verdict.text!r}", f"  wanted: {verdict.row.keys}")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--temperature", type=float, default=0.0, help="0: greedy")
    options = parser.parse_args()
    torch.manual_seed(1)
    writer, began = Writer(options.folder, options.device, options.temperature), time.monotonic()
    asked = list(judge(writer, known()))
    other = list(judge(writer, unknown()))
    for verdict in (*asked, *other):
        if not verdict.right:
            print(show(verdict))
    print(table((*asked, *other)))
    file = options.folder / PERPLEXITY
    rows = (
        [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        if file.exists()
        else perplexity_rows()
    )
    print(f"perplexity {writer.perplexity([row['text'] for row in rows]):.3f} of {len(rows)} texts")
    scores = {
        "known": sum(verdict.right for verdict in asked) / len(asked),
        "unknown": sum(verdict.right for verdict in other) / len(other),
        "ended": sum(verdict.ended for verdict in (*asked, *other)) / (len(asked) + len(other)),
    }
    for name, bar in BARS.items():
        print(
            f"{name}: {scores[name]:.1%}, bar {bar:.0%}: {'met' if scores[name] >= bar else 'NOT met'}"
        )
    print(f"{time.monotonic() - began:.0f} s")
    raise SystemExit(any(scores[name] < bar for name, bar in BARS.items()))


if __name__ == "__main__":
    main()
