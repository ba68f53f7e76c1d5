"""The two forms of the Compare tab: what each asks of the studio, and how it is drawn."""

from contextlib import suppress
from typing import TYPE_CHECKING

from backend.contracts import ResultEntry, ServeOptions
from backend.errors import ErrorInfo, StudioError
from ui.parts.compare_form import (
    SEPARATOR,
    TEXT,
    CompareForm,
    chosen_variants,
    model_of,
    prompts_of,
    request_of,
    text_request_of,
)
from ui.parts.compare_pictures import pictures_form
from ui.parts.compare_text import Served, chosen_servers, text_form

if TYPE_CHECKING:
    from backend.studio import Studio

FIRST_MODEL = "demo-chat"
CHECKPOINT = "checkpoint:"


def drawn_form(studio: "Studio", form: CompareForm, owner: str, language: str) -> str:
    draw = _drawn_text if form.mode == TEXT else _drawn_pictures
    return draw(studio, form, owner, language)


def start_form(studio: "Studio", form: CompareForm, owner: str, language: str) -> str:
    """The job's id."""
    if form.mode == TEXT:
        servers = chosen_servers(form, _offered(studio, form, owner))
        prompts = prompts_of(form).chosen(studio.compare_text.questions(language))
        return studio.compare_text.compare(text_request_of(form, servers, prompts), owner)
    model = model_of(form, studio.models.all())
    prompts = prompts_of(form).chosen(studio.compare.builtin_prompts(model.id))
    return studio.compare.compare(request_of(form, model, prompts), owner)


def _drawn_pictures(studio: "Studio", form: CompareForm, owner: str, language: str) -> str:
    models = studio.models.all()
    model = model_of(form, models)
    chosen = chosen_variants(form, model)
    built_in = studio.compare.builtin_prompts(model.id)
    prompts: tuple[str, ...] = ()
    problem: ErrorInfo | None = None
    pictures: int | None = None
    estimate_s: float | None = None
    try:
        prompts = prompts_of(form).chosen(built_in)
        request = request_of(form, model, prompts, named=False)
        pictures = len(chosen) * len(prompts) * len(request.seeds)
        if prompts and len(chosen) > 1:
            studio.compare.check(request)
            estimate_s = studio.compare.estimate_s(request)
    except StudioError as error:
        problem = error.info
    return pictures_form(
        form,
        models,
        model,
        chosen,
        prompts_of(form),
        built_in,
        len(prompts),
        pictures,
        estimate_s,
        problem,
        language,
    )


def _drawn_text(studio: "Studio", form: CompareForm, owner: str, language: str) -> str:
    offered = _offered(studio, form, owner)
    chosen = chosen_servers(form, offered)
    questions = studio.compare_text.questions(language)
    prompts: tuple[str, ...] = ()
    problem: ErrorInfo | None = None
    try:
        prompts = prompts_of(form).chosen(questions)
        request = text_request_of(form, chosen, prompts)
        if prompts and len(chosen) > 1:
            studio.compare_text.check(request, owner)
    except StudioError as error:
        problem = error.info
    return text_form(
        form,
        studio.chat.models(),
        offered,
        chosen,
        prompts_of(form),
        questions,
        len(prompts),
        problem,
        language,
    )


def _offered(studio: "Studio", form: CompareForm, owner: str) -> tuple[Served, ...]:
    """The chosen model, the checkpoints that were made of it, and the other one."""
    models = {one.name: one for one in studio.chat.models()}
    if not models:
        return ()
    first = FIRST_MODEL if FIRST_MODEL in models else next(iter(models))
    wanted = [form.base, *(one.rpartition(SEPARATOR)[0] for one in form.servers)]
    base = next((name for name in wanted if name in models), first)
    made: tuple[ResultEntry, ...] = ()
    with suppress(StudioError):
        made = studio.results.list(owner)
    family = [base, *(one.name for one in made if _is_of(one, base) and one.name in models)]
    if form.beside:
        family.append(form.beside)
    return tuple(_served(studio, name, owner) for name in dict.fromkeys(family))


def _is_of(entry: ResultEntry, base: str) -> bool:
    return entry.key.startswith(CHECKPOINT) and entry.source == base


def _served(studio: "Studio", name: str, owner: str) -> Served:
    options: ServeOptions | ErrorInfo
    try:
        options = studio.serving.options(name, owner, None, None)
    except StudioError as error:
        options = error.info
    return Served(name, options)
