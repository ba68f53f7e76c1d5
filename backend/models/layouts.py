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
HALF = "fp16"
_SHARD = re.compile(r"(.+)-\d{5}-of-(\d{5})$")
_WEIGHTS_INDEX = ".safetensors.index"
_HALF_INDEX = re.compile(rf".+\.safetensors\.index\.{HALF}\.json")


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
    """Settings and weights in safetensors: of a component that comes in FP32 and again in FP16
    (`model.fp16.safetensors`) the latter, half of the bytes. Other formats and single-file
    checkpoints at the top are left out."""
    chosen = _settings(names)
    for folder in FOLDERS:
        half = _weights(names, folder, HALF)
        chosen += half or _weights(names, folder, None)
    return sorted(chosen)


def _weights(names: Collection[str], folder: str, variant: str | None) -> list[str]:
    return [
        name
        for name in names
        if name.partition("/")[0] == folder
        and name.count("/") == 1
        and variant in _variants(PurePosixPath(name).name)
    ]


def _variants(base: str) -> tuple[str | None, ...]:
    """The variant that a file of weights belongs to, None being the plain one; nothing for a file
    of another kind."""
    for ending in (".safetensors.index.json", ".safetensors"):
        if base.endswith(ending):
            stem = base.removesuffix(ending)
            shard = _SHARD.match(stem)
            _, dot, variant = (shard[1] if shard else stem).partition(".")
            return (variant if dot else None,)
    index = _HALF_INDEX.fullmatch(base)
    return (HALF,) if index else ()


def _lacking_settings(names: Collection[str]) -> list[str]:
    wanted = [INDEX, "scheduler/scheduler_config.json"]
    wanted += [f"{folder}/tokenizer_config.json" for folder in TOKENIZERS]
    wanted += [f"{folder}/config.json" for folder in (*CODERS, _denoiser(names))]
    return [name for name in wanted if name not in names]


def _lacking_pipeline(names: Collection[str]) -> list[str]:
    lacking = _lacking_settings(names)
    for folder in (*CODERS, _denoiser(names)):
        half = bool(_weights(names, folder, HALF)) and not _weights(names, folder, None)
        lacking += _lacking_weights(names, folder, HALF if half else None)
    return lacking


def _lacking_weights(names: Collection[str], folder: str, variant: str | None) -> list[str]:
    found = {name for name in _weights(names, folder, variant) if name.endswith(".safetensors")}
    return _lacking_shards(found) if found else [f"{folder}/*.safetensors"]


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
