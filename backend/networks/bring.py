"""The files of a job on this machine: those here, and those of the Hugging Face hub."""

import os
import shutil
from pathlib import Path
from typing import Any

from backend.contracts import LanguageExportRequest, NetworkSource
from backend.errors import Code, StudioError
from backend.jobs.children import run_child
from backend.jobs.context import JobContext
from backend.language import text
from backend.networks.files import find_file, folder_of_files
from backend.settings import Settings

Results = dict[str, Any]
LANGUAGE_FILES = ("config.json", "*.safetensors", "*.json", "*.txt", "*.model")
"""Of a hub repository: weights, configuration, tokenizer."""


def fetch(context: JobContext, settings: Settings) -> Results:
    """The file on this machine, with its weights: brought from the hub where it is there."""
    source = NetworkSource.model_validate(context.row.request["source"])
    if source.repo is None:
        return {"file": str(find_file(settings, source, anywhere=True))}
    looked = _download(context, source.repo, source.revision, [source.file])
    network = Path(looked["folder"]) / source.file
    external = run_child(
        "backend.networks.look",
        {"file": str(network), "names_only": True},
        lambda news: None,
        context.check,
    )
    names = [source.file, *(str(Path(source.file).parent / name) for name in external)]
    looked = _download(context, source.repo, source.revision, names)
    folder = folder_of_files(settings) / "hub" / source.repo / looked["commit"][:12]
    for name in names:
        place_beside(Path(looked["folder"]) / name, folder / name)
    return {"file": str(folder / source.file)}


def _download(context: JobContext, repo: str, revision: str, names: list[str]) -> Results:
    message = text("job.fetching", name=f"{repo}/{names[-1]}")
    context.report("fetch_file", message=message)
    found: Results = run_child(
        "backend.models.download",
        {"repo": repo, "revision": revision, "patterns": names},
        lambda news: context.report("fetch_file", news["step"], news["total"]),
        context.check,
    )
    return found


def place_beside(cached: Path, file: Path) -> None:
    """A file of the hub's cache under its own name: there it is a link to another folder, which
    for weights ONNX forbids. Takes no more disk where a second name can be given."""
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(cached.resolve(), file)
    except OSError:
        unfinished = file.with_name(f".{file.name}.part")
        shutil.copyfile(cached, unfinished)
        unfinished.replace(file)


def fetch_language_model(context: JobContext) -> Results:
    """The folder of a language model: brought from the hub where it is no folder here.

    Raises StudioError LANGUAGE_MODEL_UNSUPPORTED and those of the hub.
    """
    request = LanguageExportRequest.model_validate(context.row.request)
    folder = Path(request.model).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            problem = text("language.no_config")
            raise StudioError(Code.LANGUAGE_MODEL_UNSUPPORTED, model=folder.name, problem=problem)
        return {"folder": str(folder.resolve())}
    found = _download(context, request.model, request.revision, list(LANGUAGE_FILES))
    return {"folder": found["folder"]}
