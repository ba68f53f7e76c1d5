"""Which files of a repository are needed, told from their names alone."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import PurePosixPath

INDEX = "model_index.json"
CODERS = ("text_encoder", "text_encoder_2", "vae")
DENOISERS = ("transformer", "unet")
"""A pipeline has one of them."""
TOKENIZERS = ("tokenizer", "tokenizer_2")
FOLDERS = frozenset({"scheduler", *TOKENIZERS, *CODERS, *DENOISERS})
SETTINGS_SUFFIXES = frozenset({".json", ".txt", ".model"})
_SHARD = re.compile(r"(.+)-\d{5}-of-(\d{5})$")
_WEIGHTS_INDEX = ".safetensors.index"


@dataclass(frozen=True)
class Layout:
    choose: Callable[[Collection[str]], list[str]]
    """Those of a repository's files that are needed."""
    lacks: Callable[[Collection[str]], list[str]]
    """What is needed and not among these files; empty when all is there."""


def _settings(names: Collection[str]) -> list[str]:
    return [name for name in sorted(names) if name == INDEX or _is_setting(PurePosixPath(name))]


def _is_setting(path: PurePosixPath) -> bool:
    in_component = len(path.parts) == 2 and path.parts[0] in FOLDERS
    return in_component and path.suffix in SETTINGS_SUFFIXES and _WEIGHTS_INDEX not in path.name


def _pipeline(names: Collection[str]) -> list[str]:
    """Settings and weights in safetensors. Copies of the weights in another precision
    (`model.fp16.safetensors`) or format, and single-file checkpoints at the top, are left out."""
    weights = [
        name
        for name in names
        if name.partition("/")[0] in FOLDERS and name.count("/") == 1 and _is_weights(name)
    ]
    return sorted([*_settings(names), *weights])


def _is_weights(name: str) -> bool:
    base = PurePosixPath(name).name
    for ending in (".safetensors.index.json", ".safetensors"):
        if base.endswith(ending):
            stem = base.removesuffix(ending)
            shard = _SHARD.match(stem)
            return "." not in (shard[1] if shard else stem)
    return False


def _lacking_settings(names: Collection[str]) -> list[str]:
    wanted = [INDEX, "scheduler/scheduler_config.json"]
    wanted += [f"{folder}/tokenizer_config.json" for folder in TOKENIZERS]
    wanted += [f"{folder}/config.json" for folder in (*CODERS, _denoiser(names))]
    return [name for name in wanted if name not in names]


def _lacking_pipeline(names: Collection[str]) -> list[str]:
    lacking = _lacking_settings(names)
    for folder in (*CODERS, _denoiser(names)):
        found = {
            name
            for name in names
            if name.startswith(f"{folder}/") and name.endswith(".safetensors") and _is_weights(name)
        }
        lacking += _lacking_shards(found) if found else [f"{folder}/*.safetensors"]
    return lacking


def _lacking_shards(found: set[str]) -> list[str]:
    shards = [_SHARD.match(name.removesuffix(".safetensors")) for name in found]
    siblings = {
        f"{shard[1]}-{number:05d}-of-{shard[2]}.safetensors"
        for shard in shards
        if shard is not None
        for number in range(1, int(shard[2]) + 1)
    }
    return sorted(siblings - found)


def _denoiser(names: Collection[str]) -> str:
    unet = any(name.startswith("unet/") for name in names)
    return "unet" if unet else "transformer"


PIPELINE = Layout(_pipeline, _lacking_pipeline)
"""A whole model in diffusers' layout."""
SETTINGS = Layout(_settings, _lacking_settings)
"""What runs around engines: tokenizers, scheduler, configurations."""
