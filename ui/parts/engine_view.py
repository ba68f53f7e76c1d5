"""The page about one engine."""

from typing import Any

from backend.contracts import EngineLayer, EngineState, EngineView
from backend.language import human_bytes, human_seconds
from ui.i18n import t
from ui.parts.engine_charts import kind_bars, network_strip, precision_bars
from ui.parts.engine_fusion import calibration_story, fusion_story
from ui.parts.engine_words import (
    edition_name,
    module_name,
    precision_mark,
    profile_words,
    target_words,
    when,
)
from ui.parts.markup import button, esc, icon

COLUMNS = ("place", "kind", "layer", "precision", "shapes", "weights", "time")
"""Of the table of layers; the times have theirs once they were measured."""


def engine_view(view: EngineView, part: str, language: str) -> str:
    """Facts, charts, calibration and fusion; the table of layers is filled in by the page's script
    from `layer_rows`. `part` is the name of the GPU that it is for."""
    made = view.engine.manifest
    back = button(t("page.inspect.back", language), "engine-back", symbol="back", kind="quiet")
    title = f"{made.model} · {module_name(made.module, language)}"
    return (
        f'<article class="e-inspect" data-key="{esc(made.id)}"><header>{back}'
        f'<h3 tabindex="-1" id="inspect-title">{esc(title)} {precision_mark(made.precision)}</h3>'
        f"</header>{_facts(view, part, language)}"
        f'<section class="e-section"><h4>{esc(t("page.inspect.network_title", language))}</h4>'
        f"<p>{esc(t('page.inspect.network', language))}</p>"
        f"{network_strip(view.layers, language)}"
        f'<div class="e-charts"><div>{precision_bars(view.layers, language)}</div>'
        f"<div>{kind_bars(view.layers, language)}</div></div></section>"
        f"{calibration_story(view, language)}{fusion_story(view, language)}"
        f"{_table(view, language)}{_command(view, language)}</article>"
    )


def _facts(view: EngineView, part: str, language: str) -> str:
    made, state = view.engine.manifest, view.engine.state
    error = t("page.engines.error_unknown", language)
    if made.relative_error is not None:
        error = f"{made.relative_error:.1e}"
    rows = {
        "runs": target_words(made.target, part, language),
        "edition": edition_name(made),
        "sizes": ", ".join(filter(None, profile_words(made, language))),
        "file": f"{made.file} · {human_bytes(made.size_bytes)}",
        "built": f"{human_seconds(made.build_s)} · {when(made.created_at)}",
        "error": error,
        "id": made.id,
    }
    cells = "".join(
        f"<div><dt>{esc(t(f'page.inspect.{name}', language))}</dt><dd>{esc(value)}</dd></div>"
        for name, value in rows.items()
    )
    symbol = icon("check") if state is EngineState.VALID else icon("warning")
    return (
        f'<p class="e-standing" data-state="{esc(state)}">{symbol}'
        f"{esc(view.engine.reason.render(language))}</p>"
        f'<dl class="s-metrics e-facts">{cells}</dl>'
    )


def _table(view: EngineView, language: str) -> str:
    """The frame of the table: sorted, searched and scrolled by the script."""
    heads = "".join(
        f'<button type="button" role="columnheader" data-sort="{index}" class="e-head">'
        f"{esc(t(f'page.inspect.column.{name}', language))}</button>"
        for index, name in enumerate(COLUMNS)
    )
    search = t("page.inspect.search", language)
    sides = ""
    if view.fused:
        sides = "".join(
            f'<button type="button" class="s-button" data-action="engine-side" data-side="{side}" '
            f'aria-pressed="{pressed}"><span>{esc(t(f"page.inspect.{side}", language))}</span>'
            "</button>"
            for side, pressed in (("before", "true"), ("after", "false"))
        )
        sides = f'<div class="e-switch" role="group">{sides}</div>{_timing(view, language)}'
    return (
        f'<section class="e-section" id="layers"><h4>{esc(t("page.inspect.all_layers", language))}'
        f"</h4>{_times(view, language)}"
        f'<div class="e-summary">{sides}'
        f'<input type="search" id="layer-search" class="s-field" placeholder="{esc(search)}" '
        f'aria-label="{esc(search)}" autocomplete="off">'
        '<span class="s-num s-muted" id="layer-count" role="status"></span></div>'
        f'<div class="e-layers" role="table" aria-labelledby="inspect-title">'
        f'<div class="e-layer e-layer-heads" role="row">{heads}</div>'
        '<div class="e-layer-body" role="rowgroup" id="layer-rows" tabindex="0"></div></div>'
        "</section>"
    )


def _timing(view: EngineView, language: str) -> str:
    """The button that has each layer timed, where the engine runs."""
    if view.engine.state is not EngineState.VALID:
        return ""
    made = view.engine.manifest.id
    label, busy = (t(f"page.inspect.{name}", language) for name in ("time_layers", "timing"))
    return button(label, "engine-times", id=made, busy=busy)


def _times(view: EngineView, language: str) -> str:
    timed = [layer.time_ms for layer in view.fused if layer.time_ms is not None]
    if not timed:
        return ""
    said = t("page.inspect.times", language, total=f"{sum(timed):.1f}", count=len(timed))
    return f"<p>{esc(said)}</p>"


def _command(view: EngineView, language: str) -> str:
    if not view.command:
        return (
            f'<section class="e-section"><h4>{esc(t("page.inspect.command_title", language))}</h4>'
            f"<p>{esc(t('page.inspect.command_none', language))}</p></section>"
        )
    digest = view.engine.manifest.onnx_sha256[:12]
    return (
        f'<section class="e-section"><h4>{esc(t("page.inspect.command_title", language))}</h4>'
        f"<p>{esc(t('page.inspect.command', language, digest=digest))}</p>"
        f'<div class="e-command"><pre class="s-details">{esc(view.command)}</pre>'
        f"{button(t('page.memory.copy', language), 'copy', symbol='copy')}</div></section>"
    )


def layer_rows(layers: tuple[EngineLayer, ...], kinds: dict[str, str]) -> list[list[Any]]:
    """One list a layer, for the script: name, kind, torch layer, precision, shapes, bytes of
    weights, the kinds of the nodes that it stands for, and milliseconds or None."""
    return [
        [
            layer.name,
            layer.kind,
            layer.layer,
            layer.precision,
            ", ".join(layer.shapes),
            layer.bytes,
            " + ".join(kinds.get(part, part) for part in layer.parts),
            layer.time_ms,
        ]
        for layer in layers
    ]
