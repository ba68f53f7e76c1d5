"""The engines on disk, variant by variant."""

from backend.contracts import Engine, EngineGroup, EngineState, VariantState
from backend.language import human_bytes, human_seconds
from ui.i18n import t
from ui.parts.engine_words import (
    edition_name,
    module_name,
    precision_mark,
    profile_words,
    target_words,
    when,
)
from ui.parts.markup import button, esc, icon
from ui.parts.metrics_line import RUNTIME_NAMES

COLUMNS = ("module", "sizes", "size", "built", "error", "state")
STATES = tuple(EngineState)


def engine_list(groups: tuple[EngineGroup, ...], free_bytes: int, language: str) -> str:
    """Totals, filters, and a table for each variant; or what to do while there is none."""
    if not groups:
        return (
            f'<div class="e-empty" data-key="empty">{icon("build")}'
            f"<p>{esc(t('page.engines.empty', language))}</p>"
            f'<p class="s-muted">{esc(t("page.engines.empty_hint", language))}</p></div>'
        )
    return (
        f"{_summary(groups, free_bytes, language)}"
        f"{''.join(_group(group, language) for group in groups)}"
        f'<p class="e-none s-muted" data-key="none" hidden>'
        f"{esc(t('page.engines.none_found', language))}</p>"
    )


def _summary(groups: tuple[EngineGroup, ...], free_bytes: int, language: str) -> str:
    engines = {engine.manifest.id: engine for group in groups for engine in group.engines}
    size = sum(engine.manifest.size_bytes for engine in engines.values())
    words = t(
        "page.engines.total",
        language,
        count=len(engines),
        size_bytes=size,
        free_bytes=free_bytes,
    )
    present = {engine.state for engine in engines.values()}
    states = "".join(
        f'<option value="{esc(state)}">{esc(t(f"page.engines.state.{state}", language))}</option>'
        for state in STATES
        if state in present
    )
    search, every = t("page.engines.search", language), t("page.engines.every_state", language)
    return (
        f'<div class="e-summary" data-key="summary"><p class="s-num">{esc(words)}</p>'
        f'<input type="search" id="engine-search" class="s-field" placeholder="{esc(search)}" '
        f'aria-label="{esc(search)}" autocomplete="off">'
        f'<select id="engine-state" class="s-field" aria-label="{esc(every)}">'
        f'<option value="">{esc(every)}</option>{states}</select></div>'
    )


def _group(group: EngineGroup, language: str) -> str:
    mark = precision_mark(group.precision) if group.precision else ""
    where = target_words(group.target, group.target_name, language)
    heads = "".join(
        f'<th scope="col">{esc(t(f"page.engines.column.{name}", language))}</th>'
        for name in COLUMNS
    )
    rows = "".join(_row(engine, group, language) for engine in group.engines)
    facts = t(
        "page.engines.group_total",
        language,
        size_bytes=group.size_bytes,
        build_s=sum(engine.manifest.build_s for engine in group.engines),
    )
    symbol = icon("check") if group.state is VariantState.READY else ""
    return (
        f'<article class="e-group" data-key="{esc(group.key)}" data-state="{esc(group.state)}">'
        f"<header><h3>{esc(group.name)} {mark} <span>{esc(RUNTIME_NAMES[group.runtime])}</span>"
        f"<small>{esc(where)}</small></h3>"
        f'<div class="s-row e-actions">{_group_actions(group, language)}</div>'
        f'<p class="e-reason">{symbol}{esc(group.reason.render(language))}'
        f'<span class="s-num">{esc(facts)}</span></p></header>'
        f'<div class="e-scroll"><table class="e-table"><thead><tr>{heads}<th>'
        f'<span class="s-hidden">{esc(t("page.engines.actions", language))}</span></th></tr>'
        f"</thead><tbody>{rows}{_missing(group, language)}</tbody></table></div></article>"
    )


def _group_actions(group: EngineGroup, language: str) -> str:
    variant = f"{group.model}/{group.precision}/{group.runtime}"
    ids = " ".join(engine.manifest.id for engine in group.engines)
    parts = []
    if group.loaded:
        if not group.in_use:
            parts.append(button(t("page.engines.unload", language), "unload", key=variant))
    elif group.state is VariantState.READY:
        parts.append(
            button(t("page.engines.load", language), "engine-load", symbol="load", key=variant)
        )
    if group.missing and group.precision:
        parts.append(
            button(
                t("page.engines.complete", language, count=len(group.missing)),
                "engine-complete",
                symbol="build",
                key=variant,
                target=group.target,
            )
        )
    parts.append(
        button(
            t("page.engines.rebuild_all", language),
            "engine-rebuild",
            symbol="retry",
            kind="quiet",
            ids=ids,
            confirm=t("page.engines.rebuild_sure", language),
        )
    )
    parts.append(
        button(
            t("page.engines.delete_all", language, size_bytes=group.size_bytes),
            "engine-delete",
            symbol="trash",
            kind="quiet",
            ids=ids,
            confirm=t("page.engines.delete_sure", language, size_bytes=group.size_bytes),
        )
    )
    return "".join(parts)


def _row(engine: Engine, group: EngineGroup, language: str) -> str:
    made = engine.manifest
    name = module_name(made.module, language)
    sizes, tuned = profile_words(made, language)
    error = t("page.engines.error_unknown", language)
    if made.relative_error is not None:
        error = f"{made.relative_error:.1e}"
    state = t(f"page.engines.state.{engine.state}", language)
    told = engine.state is EngineState.OTHER_GPU and group.state is VariantState.OTHER_GPU
    reason = "" if engine.state is EngineState.VALID or told else engine.reason.render(language)
    cells = {
        "module": f'<button type="button" class="s-link e-name" data-action="engine-inspect" '
        f'data-id="{esc(made.id)}">{esc(name)}</button>'
        f"<small>{precision_mark(made.precision)} {esc(edition_name(made))}</small>",
        "sizes": f"{esc(sizes)}<small>{esc(tuned)}</small>",
        "size": f"{esc(human_bytes(made.size_bytes))}"
        f"<small>{esc(t('page.engines.layers', language, count=made.layer_count))}</small>",
        "built": f"{esc(human_seconds(made.build_s))}<small>{esc(when(made.created_at))}</small>",
        "error": esc(error),
        "state": f'<span class="s-mark" data-state="{esc(engine.state)}">{esc(state)}</span>'
        f"<small>{esc(reason)}</small>",
    }
    body = "".join(
        f'<td data-label="{esc(t(f"page.engines.column.{key}", language))}"'
        f"{' class=s-num' if key in ('size', 'built', 'error') else ''}><div>{value}</div></td>"
        for key, value in cells.items()
    )
    words = " ".join(
        (group.name, made.model, name, made.module, made.precision, made.runtime, made.target,
         group.target_name, edition_name(made), state)
    ).lower()  # fmt: skip
    return (
        f'<tr data-key="{esc(made.id)}" data-state="{esc(engine.state)}" '
        f'data-text="{esc(words)}">{body}<td class="e-tools">'
        f"{_tools(engine, name, language)}</td></tr>"
    )


def _tools(engine: Engine, name: str, language: str) -> str:
    made = engine.manifest
    rebuild = ""
    if made.request is not None:
        rebuild = button(
            t("page.engines.rebuild", language, name=name),
            "engine-rebuild",
            symbol="retry",
            kind="quiet",
            compact=True,
            ids=made.id,
            confirm=t("page.engines.rebuild_sure", language),
        )
    return (
        button(
            t("page.engines.inspect", language, name=name),
            "engine-inspect",
            symbol="eye",
            kind="quiet",
            compact=True,
            id=made.id,
        )
        + rebuild
        + button(
            t("page.engines.delete", language, name=name, size_bytes=made.size_bytes),
            "engine-delete",
            symbol="trash",
            kind="quiet",
            compact=True,
            ids=made.id,
            confirm=t("page.engines.delete_sure", language, size_bytes=made.size_bytes),
        )
    )


def _missing(group: EngineGroup, language: str) -> str:
    if not group.missing:
        return ""
    names = ", ".join(module_name(module, language) for module in group.missing)
    return (
        f'<tr class="e-missing"><td colspan="7">'
        f"{esc(t('page.engines.missing', language, modules=names))}</td></tr>"
    )
