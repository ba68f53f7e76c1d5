"""Past comparisons as a list that is searched, and as choices for two reports at once."""

from backend.contracts import ComparisonEntry, JobState
from backend.language import human_bytes
from ui.i18n import t
from ui.parts.engine_words import when
from ui.parts.error_card import error_card
from ui.parts.job_card import state_mark
from ui.parts.markup import button, esc, icon

FACES = 3


def past_list(
    entries: tuple[ComparisonEntry, ...], faces: dict[str, list[str]], search: str, language: str
) -> str:
    """The newest first; `faces` are addresses of the first pictures, by id."""
    if not entries:
        key = "page.compare.nothing_found" if search else "page.compare.no_past"
        return (
            f'<div class="e-empty">{icon("columns")}'
            f"<p>{esc(t(key, language, search=search[:80]))}</p></div>"
        )
    rows = "".join(_row(entry, faces.get(entry.id, []), language) for entry in entries)
    return f'<ul class="k-list">{rows}</ul>'


def _row(entry: ComparisonEntry, faces: list[str], language: str) -> str:
    if entry.problem is not None:
        card = error_card(
            entry.problem,
            language,
            title=entry.title,
            key=f"error-{entry.id}",
            actions=delete_button(entry.id, language),
        )
        return f'<li data-key="{esc(entry.id)}" data-state="broken">{card}</li>'
    pictures = "".join(
        f'<img src="{esc(face)}" alt="" loading="lazy" decoding="async">' for face in faces[:FACES]
    )
    face = pictures or icon("chat" if entry.kind == "text" else "image")
    state = JobState(entry.state)
    mark = "" if state is JobState.SUCCEEDED else state_mark(state, language)
    variants = "".join(f"<li>{esc(one)}</li>" for one in entry.variants)
    return (
        f'<li data-key="{esc(entry.id)}"><button type="button" class="k-row" '
        f'data-action="compare-open" data-id="{esc(entry.id)}">'
        f'<span class="k-faces" data-kind="{esc(entry.kind)}">{face}</span>'
        f'<span class="k-title"><strong dir="auto">{esc(entry.title)}</strong>{mark}'
        f"<small>{esc(_about(entry, language))}</small></span></button>"
        f'<ul class="k-chips">{variants}</ul>{delete_button(entry.id, language, compact=True)}</li>'
    )


def _about(entry: ComparisonEntry, language: str) -> str:
    count = t("page.compare.prompt_count", language, count=entry.prompts)
    if entry.kind == "pictures":
        count += ", " + t("page.compare.pictures_count", language, count=entry.pictures)
    told = (entry.subject, count, when(entry.made_at), entry.device, human_bytes(entry.size_bytes))
    return " · ".join(filter(None, told))


def delete_button(identity: str, language: str, compact: bool = False) -> str:
    return button(
        t("page.compare.delete", language),
        "compare-delete",
        symbol="trash",
        kind="quiet",
        compact=compact,
        id=identity,
        confirm=t("page.compare.delete_sure", language),
    )


def choices(entries: tuple[ComparisonEntry, ...], language: str) -> str:
    """The options of one side of two reports."""
    none = f'<option value="">{esc(t("page.compare.choose_own", language))}</option>'
    return none + "".join(
        f'<option value="{esc(entry.id)}">{esc(entry.title[:80])} · {esc(entry.subject)} · '
        f"{esc(when(entry.made_at))}</option>"
        for entry in entries
        if entry.problem is None
    )
