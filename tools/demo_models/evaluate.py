"""Scores a pipeline on unseen compositions: python -m tools.demo_models.evaluate FOLDER"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from diffusers import DiffusionPipeline
from PIL import Image
from torch import Tensor

from tools.demo_models.captions import describe
from tools.demo_models.cards import NATIVE_SIZE, Card, card_of
from tools.demo_models.checker import Verdict, check
from tools.demo_models.heldout import compositions

BATCH = 8
QUESTIONS = ("colour", "shape", "relation", "right")


@dataclass(frozen=True)
class Painter:
    """A loaded pipeline with how to call it; steps and guidance may differ from the card's."""

    pipeline: DiffusionPipeline
    card: Card
    steps: int
    guidance: float

    def __call__(
        self,
        prompts: list[str],
        height: int = NATIVE_SIZE,
        width: int = NATIVE_SIZE,
        seed: int = 0,
        output: str = "pt",
        negative: list[str] | None = None,
    ) -> Tensor:
        """Pictures [N, 3, H, W] in 0..1, or what else the pipeline calls `output`.

        `negative` holds a negative prompt for each, for pipelines that take them.
        """
        without = {} if negative is None else {"negative_prompt": negative}
        result = self.pipeline(
            prompts,
            height=height,
            width=width,
            num_inference_steps=self.steps,
            guidance_scale=self.guidance,
            generator=[torch.Generator().manual_seed(seed + i) for i in range(len(prompts))],
            output_type=output,
            **self.card.call_arguments(),
            **without,
        )
        return result.images.float()


def load_painter(folder: Path, steps: int | None = None, guidance: float | None = None) -> Painter:
    """The pipeline of a folder, by default with its card's steps and guidance."""
    card = card_of(folder)
    pipeline = DiffusionPipeline.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    pipeline.set_progress_bar_config(disable=True)
    steps = card.steps if steps is None else steps
    return Painter(pipeline, card, steps, card.guidance if guidance is None else guidance)


def table(verdicts: list[tuple[str, Verdict]]) -> str:
    """Markdown: share of right answers per kind of prompt."""
    lines = [
        "| kind | prompts | colour | shape | relation or place | all right |",
        "|" + "---|" * 6,
    ]
    for kind in [*dict.fromkeys(kind for kind, _ in verdicts), "all"]:
        rows = [verdict for name, verdict in verdicts if kind in (name, "all")]
        shares = (sum(getattr(row, q) for row in rows) / len(rows) for q in QUESTIONS)
        cells = " | ".join(f"{100 * share:.1f} %" for share in shares)
        lines.append(f"| {kind} | {len(rows)} | {cells} |")
    return "\n".join(lines)


def sheet(pictures: Tensor, columns: int) -> Image.Image:
    """Pictures [N, 3, H, W] side by side, `columns` in a row."""
    count, _, height, width = pictures.shape
    canvas = torch.ones(3, -(-count // columns) * height, columns * width)
    for index, picture in enumerate(pictures):
        top, left = index // columns * height, index % columns * width
        canvas[:, top : top + height, left : left + width] = picture
    return Image.fromarray((canvas.permute(1, 2, 0) * 255).round().byte().numpy())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--height", type=int, default=NATIVE_SIZE)
    parser.add_argument("--width", type=int, default=NATIVE_SIZE)
    parser.add_argument("--steps", type=int, help="instead of the card's")
    parser.add_argument("--guidance", type=float, help="instead of the card's")
    parser.add_argument("--language", choices=("en", "ko"), default="en")
    parser.add_argument("--share", type=float, default=1.0, help="of the 200 prompts")
    parser.add_argument("--save", type=Path, help="folder for the failed pictures")
    parser.add_argument("--device", default="cpu", help="where the pipeline runs")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    paint = load_painter(options.folder, options.steps, options.guidance)
    paint.pipeline.to(options.device)
    rng = Random(11)
    rows = compositions(share=options.share)
    prompts = [describe(spec, rng, options.language) for _, spec in rows]
    verdicts: list[tuple[str, Verdict]] = []
    failed: Counter[str] = Counter()
    began = time.monotonic()
    for start in range(0, len(rows), BATCH):
        part = prompts[start : start + BATCH]
        pictures = paint(part, options.height, options.width, seed=1000 + start).cpu()
        for (kind, spec), prompt, picture in zip(rows[start:], part, pictures):
            verdict = check(picture, spec)
            verdicts.append((kind, verdict))
            if not verdict.right:
                print(f"{kind}: {prompt!r} {verdict}", flush=True)
                if options.save:
                    failed[kind] += 1
                    options.save.mkdir(parents=True, exist_ok=True)
                    sheet(picture[None], 1).save(options.save / f"{kind}-{failed[kind]}.png")
        right = sum(verdict.right for _, verdict in verdicts)
        print(f"{len(verdicts)}: {right} right, {time.monotonic() - began:.0f} s", flush=True)
    print(table(verdicts))


if __name__ == "__main__":
    main()
