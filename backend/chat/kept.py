"""Which files of language models are in use, and what for."""

from collections.abc import Iterable
from pathlib import Path

from huggingface_hub.errors import HFValidationError

from backend.chat.fetch import is_repository
from backend.chat.models import MANIFEST, find_language_model
from backend.contracts import JobKind, LanguageModel, ServerStatus
from backend.errors import StudioError
from backend.jobs.store import JobRow
from backend.language import Text, text
from backend.models.files import read_json
from backend.models.hub_cache import storage_of
from backend.settings import Settings

FETCHING = (JobKind.SERVE, JobKind.QUANTIZE, JobKind.COMPARE_TEXT)


def used_folders(
    settings: Settings, servers: Iterable[ServerStatus], live: Iterable[JobRow]
) -> dict[Path, Text]:
    """Folders that must stay, each with the reason: what is served, what a served simulation was
    made of, and what jobs that wait or run work on."""
    used: dict[Path, Text] = {}
    for row in live:
        for name in _models(row):
            for folder in _folders_of(settings, name):
                used[folder] = text("storage.in_use")
            if row.kind in FETCHING and is_repository(name):
                used[_storage(name)] = text("storage.in_use")
    for server in servers:
        folders = _folders_of(settings, server.endpoint.model)
        for source in folders[1:]:
            used[source] = text("storage.source", server=server.key)
        for served in folders[:1]:
            used[served] = text("storage.served", server=server.key)
    return used


def _models(row: JobRow) -> list[str]:
    """One, or one a variant."""
    asked = [row.request, *row.request.get("variants", ())]
    return [str(each["model"]) for each in asked if "model" in each]


def why_kept(used: dict[Path, Text], path: Path) -> Text | None:
    """The reason for which something at or below `path` must stay."""
    real = path.resolve()
    return next((why for folder, why in used.items() if folder.is_relative_to(real)), None)


def _folders_of(settings: Settings, name: str) -> list[Path]:
    """A model's folder, and that of the checkpoint which it is a simulation of."""
    try:
        model = find_language_model(settings, name)
    except StudioError:
        return []
    return [Path(model.folder).resolve(), *_source(model)]


def _source(model: LanguageModel) -> list[Path]:
    if not model.simulated:
        return []
    manifest = read_json(Path(model.folder) / MANIFEST, model.name)
    return [Path(manifest["source"]).resolve()] if "source" in manifest else []


def _storage(repository: str) -> Path:
    try:
        return storage_of(repository).resolve()
    except HFValidationError:
        return Path(repository)
