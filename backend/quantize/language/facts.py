"""What there is to know of a language model before it is quantised: from its files, or, where it is
not here, from the hub. Of a repository only the configuration and the headers of its weight files
are read."""

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import NotASafetensorsRepoError, SafetensorsParsingError
from huggingface_hub.hf_api import ModelInfo

from backend.chat.fetch import FILES
from backend.chat.models import find_language_model, list_language_models, read_language_model
from backend.contracts import LanguageModel, SourceFacts
from backend.errors import Code, StudioError
from backend.models.files import corrupted, read_json
from backend.models.hub import ANSWER_TIMEOUT_S, check_access, make_plan
from backend.models.hub_errors import FAILURES, explain
from backend.quantize.language.card import licence_in
from backend.quantize.language.order import Source, check_source, source_of
from backend.quantize.language.sizes import PICKLES, StoredTensor
from backend.settings import Settings

SUGGESTED = (
    "deepseek-ai/DeepSeek-R1-Distill-Llama-8B",
    "demo-chat",
    "meta-llama/Llama-3.1-8B-Instruct",
    "Qwen/Qwen3-8B",
    "Qwen/Qwen2.5-7B-Instruct",
    "mistralai/Mistral-7B-Instruct-v0.2",
)
"""One or more of every architecture that can be quantised, and the one that is always here."""


@dataclass(frozen=True)
class Asked:
    """What the hub said. `source` is None where it cannot be quantised or not be read."""

    facts: SourceFacts
    source: Source | None


def offered(settings: Settings) -> tuple[SourceFacts, ...]:
    """Models to begin with: the suggested ones, then the plain ones that are on this machine."""
    here = {model.name: model for model in list_language_models(settings)}
    plain = [name for name, model in here.items() if not (model.algorithm or model.simulated)]
    rest = [name for name in plain if name not in SUGGESTED]
    return tuple(
        facts_of(here[name]) if name in here else SourceFacts(name=name, here=False, asked=False)
        for name in (*SUGGESTED, *rest)
    )


def find_facts(settings: Settings, name: str) -> SourceFacts:
    """Raises StudioError CHAT_MODEL_NOT_FOUND, ARCHITECTURE_UNSUPPORTED, MODEL_FILES_CORRUPTED."""
    return facts_of(find_language_model(settings, name))


def facts_of(model: LanguageModel) -> SourceFacts:
    known = SourceFacts(
        name=model.name,
        here=True,
        asked=False,
        architecture=model.architecture,
        size_bytes=model.weights_bytes,
        precision=model.precision,
        licence=licence_in(Path(model.folder)).get("license"),
        missing_bytes=0,
    )
    try:
        source = source_of(model)
    except StudioError as error:
        return known.model_copy(update={"problem": error.info})
    return known.model_copy(update={"parameters": source.parameters})


def ask_hub(repository: str) -> Asked:
    """Ask the hub about a repository; nothing but its configuration is kept.

    Raises StudioError HUB_REPO_NOT_FOUND, HUB_TOKEN_MISSING, HUB_TOKEN_INVALID, HUB_UNREACHABLE,
    HUB_OFFLINE_INCOMPLETE. What forbids only to read it is a problem of the facts.
    """
    try:
        info = HfApi().model_info(
            repository, revision="main", files_metadata=True, timeout=ANSWER_TIMEOUT_S
        )
    except FAILURES as error:
        raise explain(error, repository) from None
    facts = _facts(repository, info)
    try:
        if info.gated:
            check_access(repository)
        source = _read(repository, info)
        plan = make_plan(repository, patterns=FILES)
    except StudioError as error:
        return Asked(facts.model_copy(update={"problem": error.info}), None)
    found = {
        "architecture": source.model.architecture,
        "precision": source.model.precision,
        "parameters": source.parameters,
        "size_bytes": source.files_bytes,
        "missing_bytes": plan.missing_bytes,
    }
    return Asked(facts.model_copy(update=found), source)


def _facts(repository: str, info: ModelInfo) -> SourceFacts:
    """What everybody may see, also of a gated repository."""
    architectures = (info.config or {}).get("architectures") or [None]
    weights = [each.size or 0 for each in info.siblings or () if _is_weights(each.rfilename)]
    return SourceFacts(
        name=repository,
        here=False,
        asked=True,
        architecture=architectures[0],
        parameters=info.safetensors.total if info.safetensors else None,
        size_bytes=sum(weights) or None,
        licence=getattr(info.card_data, "license", None) if info.card_data else None,
        gated=bool(info.gated),
    )


def _is_weights(name: str) -> bool:
    return "/" not in name and name.endswith(".safetensors")


def _read(repository: str, info: ModelInfo) -> Source:
    """Raises what `read_source` raises, of files on the hub."""
    names = [each.rfilename for each in info.siblings or ()]
    try:
        config = Path(hf_hub_download(repository, "config.json", revision=info.sha))
        model = read_language_model(config.parent, repository)
        told = read_json(config, repository)
        check_source(model, told)
        weights = HfApi().get_safetensors_metadata(repository, revision=info.sha)
    except FAILURES as error:
        raise explain(error, repository) from None
    except NotASafetensorsRepoError:
        pickled = sorted(name for name in names if name.endswith(PICKLES))
        if pickled:
            raise StudioError(
                Code.QUANTIZE_WEIGHTS_PICKLED, model=repository, file=pickled[0]
            ) from None
        raise StudioError(Code.QUANTIZE_WEIGHTS_MISSING, model=repository) from None
    except SafetensorsParsingError as error:
        raise corrupted(repository, "a header of its weights cannot be read", str(error)) from error
    tensors = tuple(
        StoredTensor(
            name, each.dtype, tuple(each.shape), each.data_offsets[1] - each.data_offsets[0]
        )
        for file in weights.files_metadata.values()
        for name, each in file.tensors.items()
    )
    sizes = {each.rfilename: each.size or 0 for each in info.siblings or ()}
    return Source(model, told, tensors, sum(sizes[name] for name in weights.files_metadata))
