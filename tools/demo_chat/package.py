"""Puts a trained model where the app finds it: python -m tools.demo_chat.package FROM TO

Beside the model it writes perplexity.jsonl, held-out text to measure quantisation with, and
manifest.json with sizes, defaults and the SHA-256 of each file; and, in assets/calibration, the
dialogues to calibrate with. README.md in TO is kept.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from random import Random

from tools.demo_chat.dialogues import Dialogue, prose, training_dialogues
from tools.demo_chat.heldout import banned, texts
from tools.demo_chat.model import MAX_NEW_TOKENS
from tools.demo_chat.template import BEGIN, prompt, reply
from tools.demo_chat.vocabulary import CONTEXT

PERPLEXITY = "perplexity.jsonl"
CALIBRATION = Path("assets/calibration/demo-chat.jsonl")
CALIBRATION_BYTES = 120_000
WEIGHT_LIMIT_BYTES = 12_000_000
EXAMPLES = (
    "What is NVFP4?",
    "Which precision should I use on an RTX 4090?",
    "The GPU runs out of memory. What can I do?",
    "How do I build an engine for a DGX Spark?",
    "What is 47 + 38?",
    "KV 캐시가 뭐예요?",
    "바닷가의 여우 이야기를 들려주세요.",
)


def written(row: Dialogue | str) -> str:
    """A conversation or prose as the text that the model reads, but for the mark of its beginning,
    which the tokenizer puts there itself."""
    if isinstance(row, str):
        return row
    return (prompt(row.messages) + reply(row.thought, row.answer)).removeprefix(BEGIN)


def perplexity_rows() -> list[dict[str, str]]:
    return [{"text": written(row)} for row in texts()]


def calibration_rows(seed: int = 31) -> list[dict[str, str]]:
    """Conversations of the kind that the model was trained on, and some prose."""
    rng, rows, size = Random(seed), [], 0
    for row in training_dialogues(seed, 1_000_000, banned()):
        rows.append({"text": prose(rng) if rng.random() < 0.1 else written(row)})
        size += len(json.dumps(rows[-1], ensure_ascii=False).encode()) + 1
        if size > CALIBRATION_BYTES:
            break
    return rows


def write_lines(path: Path, rows: Iterable[dict[str, str]]) -> None:
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8")


def manifest(folder: Path) -> dict[str, object]:
    """Defaults of the model and the digest of every file but the manifest."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "manifest.json")
    settings = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    return {
        "name": "demo-chat",
        "architecture": "LlamaForCausalLM",
        "licence": "Apache-2.0",
        "languages": ["en", "ko"],
        "context_tokens": CONTEXT,
        "max_new_tokens": MAX_NEW_TOKENS,
        "default_temperature": settings["temperature"],
        "default_top_p": settings["top_p"],
        "reasoning": True,
        "perplexity_text": PERPLEXITY,
        "calibration_text": CALIBRATION.as_posix(),
        "examples": list(EXAMPLES),
        "bytes": sum(p.stat().st_size for p in files),
        "sha256": {
            str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files
        },
    }


def package(source: Path, target: Path) -> dict[str, object]:
    """Copy, complete and describe. ValueError when the weights are over the limit."""
    shutil.copytree(source, target, dirs_exist_ok=True)
    weights = sum(path.stat().st_size for path in target.glob("*.safetensors"))
    if not 0 < weights <= WEIGHT_LIMIT_BYTES:
        raise ValueError(
            f"{target} holds {weights} bytes of weights; 1 to {WEIGHT_LIMIT_BYTES} are allowed"
        )
    write_lines(target / PERPLEXITY, perplexity_rows())
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    content = manifest(target)
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    (target / "manifest.json").write_text(text, encoding="utf-8")
    return content


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    content = package(options.source, options.target)
    write_lines(CALIBRATION, calibration_rows())
    print(f"{options.target}: {content['bytes']} bytes")


if __name__ == "__main__":
    main()
