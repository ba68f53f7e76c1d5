"""Puts a trained pipeline where the app finds it: python -m tools.demo_models.package FROM TO

Writes manifest.json (sizes, SHA-256 of each file, defaults); README.md in TO is kept.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from pathlib import Path

from tools.demo_models.cards import (
    EXAMPLES,
    NATIVE_SIZE,
    SIZE_MULTIPLE,
    SIZE_RANGE,
    VAE_SCALE,
    card_of,
)

LIMIT_BYTES = 16_000_000


def manifest(folder: Path) -> dict[str, object]:
    """Defaults of the model and the digest of every file but the manifest."""
    card = card_of(folder)
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "manifest.json")
    return {
        "name": card.name,
        "pipeline": card.pipeline,
        "licence": "Apache-2.0",
        "native_size": NATIVE_SIZE,
        "size_multiple": SIZE_MULTIPLE,
        "size_range": list(SIZE_RANGE),
        "default_steps": card.steps,
        "default_guidance": card.guidance,
        "max_prompt_tokens": card.prompt_tokens,
        "examples": list(EXAMPLES),
        "latent_channels": card.latent_channels,
        "vae_scale_factor": VAE_SCALE,
        "bytes": sum(p.stat().st_size for p in files),
        "sha256": {
            str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    shutil.copytree(options.source, options.target, dirs_exist_ok=True)
    for path in options.target.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    content = manifest(options.target)
    if int(str(content["bytes"])) > LIMIT_BYTES:
        raise SystemExit(f"{options.target} holds {content['bytes']} bytes, over {LIMIT_BYTES}")
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    (options.target / "manifest.json").write_text(text)
    print(f"{options.target}: {content['bytes']} bytes")


if __name__ == "__main__":
    main()
