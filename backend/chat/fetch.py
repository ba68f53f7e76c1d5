"""A language model's files from the hub, in a job."""

from backend.chat.models import find_language_model
from backend.contracts import LanguageModel
from backend.errors import Code, StudioError
from backend.jobs.children import run_child
from backend.jobs.context import JobContext
from backend.language import text
from backend.settings import Settings

FILES = ("config.json", "*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")
"""Weights, configuration, tokenizer and chat template."""


def is_repository(name: str) -> bool:
    """Whether a name has the form of a repository of the hub, `maker/model`."""
    return name.count("/") == 1 and not name.startswith((".", "/", "~"))


def bring_language_model(context: JobContext, settings: Settings, name: str) -> LanguageModel:
    """The model, its files fetched first where `name` is a repository that is not here.

    Raises what `find_language_model` raises, and the codes of the hub.
    """
    try:
        return find_language_model(settings, name)
    except StudioError as error:
        if error.code is not Code.CHAT_MODEL_NOT_FOUND or not is_repository(name):
            raise
    context.report("fetch_file", message=text("job.fetching", name=name))
    run_child(
        "backend.models.download",
        {"repo": name, "patterns": list(FILES)},
        lambda news: context.report("fetch_file", news["step"], news["total"]),
        context.check,
    )
    return find_language_model(settings, name)
