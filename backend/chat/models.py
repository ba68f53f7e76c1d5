"""Language models on this machine, read from their files without transformers."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from huggingface_hub import constants
from huggingface_hub.errors import HFValidationError

from backend.chat.template import opens_thinking
from backend.contracts import LanguageModel
from backend.errors import Code, StudioError
from backend.models.files import read_json
from backend.models.hub_cache import snapshot_of
from backend.settings import ASSETS, Settings

CHECKPOINTS, SIMULATED = "checkpoints", "simulated_checkpoints"
MANIFEST = "manifest.json"
SIMULATION = "weights only, simulated"
"""Under `label` in the manifest of what `dequantise` writes."""
GENERATES = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
"""How names of transformers' classes end that write text."""
MODELOPT = "modelopt"
DEFAULT_CONTEXT = 2048
BYTES_OF_KV = 2


def find_language_model(settings: Settings, name: str) -> LanguageModel:
    """The model that `name` means: one of `list_language_models`, a folder, or a repository in the
    hub's cache.

    Raises StudioError CHAT_MODEL_NOT_FOUND, ARCHITECTURE_UNSUPPORTED, MODEL_FILES_CORRUPTED.
    """
    for folder in _folders(settings):
        if folder.name == name:
            return read_language_model(folder)
    cached = _cached(name)
    if cached is not None:
        return read_language_model(cached, name)
    folder = Path(name).expanduser()
    if folder.is_absolute() and (folder / "config.json").is_file():
        return read_language_model(folder)
    raise StudioError(Code.CHAT_MODEL_NOT_FOUND, model=name[:200])


def list_language_models(settings: Settings) -> tuple[LanguageModel, ...]:
    """The language models in the studio's folders and in the hub's cache."""
    found = []
    for folder, name in [
        *((folder, folder.name) for folder in _folders(settings)),
        *_repositories(),
    ]:
        try:
            found.append(read_language_model(folder, name))
        except StudioError:
            continue
    return tuple(found)


def _folders(settings: Settings) -> list[Path]:
    """Folders that may hold one, the first of a name winning; hidden ones are still written."""
    roots = (
        *settings.models,
        settings.home / CHECKPOINTS,
        settings.home / SIMULATED,
        ASSETS / "models",
    )
    folders: dict[str, Path] = {}
    for root in roots:
        for config in sorted(root.glob("*/config.json")):
            if not config.parent.name.startswith("."):
                folders.setdefault(config.parent.name, config.parent)
    return list(folders.values())


def _repositories() -> list[tuple[Path, str]]:
    found = []
    for storage in sorted(Path(constants.HF_HUB_CACHE).glob("models--*--*")):
        name = storage.name.removeprefix("models--").replace("--", "/", 1)
        folder = _cached(name)
        if folder is not None:
            found.append((folder, name))
    return found


def _cached(repository: str) -> Path | None:
    """A repository's folder in the hub's cache, if there is a model with its weights in it."""
    try:
        folder = snapshot_of(repository) if "/" in repository else None
    except HFValidationError:
        return None
    whole = folder is not None and (folder / "config.json").is_file()
    return folder if whole and folder and any(folder.glob("*.safetensors")) else None


def read_language_model(folder: Path, name: str | None = None) -> LanguageModel:
    """What the files of a folder say.

    Raises StudioError ARCHITECTURE_UNSUPPORTED, MODEL_FILES_CORRUPTED.
    """
    marks = tuple((file.name, file.stat().st_mtime_ns) for file in sorted(folder.glob("*.*")))
    return _read(folder, name or folder.name, marks)


@lru_cache(maxsize=256)
def _read(folder: Path, name: str, marks: tuple[tuple[str, int], ...]) -> LanguageModel:
    """Read anew when a file of the folder is another: tokenizers of large models take a while."""
    config = read_json(folder / "config.json", name)
    architecture = _architecture(config, name)
    text = config.get("text_config") or config
    algorithm, modelopt = _quantisation(folder, config, name)
    manifest = read_json(folder / MANIFEST, name) if (folder / MANIFEST).is_file() else {}
    simulated = manifest.get("label") == SIMULATION
    template, thinking_tokens = _tokenizer(folder, name)
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    return LanguageModel(
        name=name,
        folder=str(folder),
        architecture=architecture,
        algorithm=algorithm,
        modelopt=modelopt,
        simulated=simulated,
        precision=_precision(config, algorithm, manifest if simulated else {}),
        context_tokens=int(
            text.get("max_position_embeddings") or text.get("n_positions") or DEFAULT_CONTEXT
        ),
        weights_bytes=weights,
        kv_bytes_per_token=_kv_bytes(text),
        has_template=bool(template),
        opens_thinking=opens_thinking(template),
        thinking_tokens=thinking_tokens,
        takes_images="vision_config" in config,
    )


def _architecture(config: dict[str, Any], name: str) -> str:
    names = config.get("architectures")
    first = names[0] if isinstance(names, list) and names else ""
    if not isinstance(first, str) or not first.endswith(GENERATES):
        shown = str(first or config.get("model_type") or "?")[:100]
        raise StudioError(Code.ARCHITECTURE_UNSUPPORTED, model=name, architecture=shown)
    return first


def _quantisation(folder: Path, config: dict[str, Any], name: str) -> tuple[str | None, bool]:
    """The algorithm that the weights are stored with, and whether ModelOpt wrote them."""
    inside = config.get("quantization_config") or {}
    beside = folder / "hf_quant_config.json"
    if beside.is_file():
        told = read_json(beside, name).get("quantization") or {}
        return str(told.get("quant_algo") or inside.get("quant_algo") or "?"), True
    if not inside:
        return None, False
    method = str(inside.get("quant_method") or "?")
    if method.startswith(MODELOPT):
        return str(inside.get("quant_algo") or "?"), True
    return method, False


def _precision(config: dict[str, Any], algorithm: str | None, simulation: dict[str, Any]) -> str:
    if simulation:
        return f"{simulation['algorithm']} ({SIMULATION})"
    stored = str(config.get("dtype") or config.get("torch_dtype") or "?")
    short = {"bfloat16": "BF16", "float16": "FP16", "float32": "FP32"}
    return algorithm.upper() if algorithm else short.get(stored, stored)


def _kv_bytes(text: dict[str, Any]) -> int:
    """Two tensors a layer of (key-value heads, head size)."""
    layers = int(text.get("num_hidden_layers") or text.get("n_layer") or 0)
    heads = int(text.get("num_attention_heads") or text.get("n_head") or 1)
    hidden = int(text.get("hidden_size") or text.get("n_embd") or 0)
    kv_heads = int(text.get("num_key_value_heads") or heads)
    size = int(text.get("head_dim") or hidden // heads)
    return 2 * layers * kv_heads * size * BYTES_OF_KV


def _tokenizer(folder: Path, name: str) -> tuple[str, bool]:
    """The chat template, empty without one, and whether the thinking tags are tokens."""
    config = folder / "tokenizer_config.json"
    told = read_json(config, name) if config.is_file() else {}
    jinja = folder / "chat_template.jinja"
    template = jinja.read_text(encoding="utf-8") if jinja.is_file() else told.get("chat_template")
    if isinstance(template, list):
        named = {each.get("name"): each.get("template") for each in template}
        template = named.get("default") or next(iter(named.values()), "")
    words = folder / "tokenizer.json"
    tokens: set[str] = set()
    if words.is_file():
        try:
            whole = json.loads(words.read_text(encoding="utf-8"))
        except ValueError:
            whole = {}
        added = whole.get("added_tokens") or ()
        vocabulary = (whole.get("model") or {}).get("vocab") or {}
        tokens = {each["content"] for each in added}
        if isinstance(vocabulary, dict):
            tokens |= {"<think>", "</think>"} & vocabulary.keys()
    return template or "", {"<think>", "</think>"} <= tokens
