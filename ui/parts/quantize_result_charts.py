"""Sizes as bars, and layers as columns: drawn of the manifest's own figures."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backend.contracts import CheckpointManifest, DenoiserSize, RecipeSize, Sensitivity
from backend.language import human_bytes
from ui.i18n import t
from ui.parts.markup import esc

TALL, WIDE = 96, 10
MOST_NAMED = 5


@dataclass(frozen=True)
class Column:
    layer: str
    value: float
    mark: bool = False
    """Drawn apart: a layer that was left in 16 bits."""


def size_bars(size: RecipeSize | DenoiserSize, language: str, whole: str = "whole") -> str:
    """Before and after, of the whole, under the name `whole`, and of the quantised layers alone."""
    most = max(size.source_bytes, 1)
    groups = (
        (whole, size.source_bytes, size.whole_bytes, size.ratio_whole),
        ("layers", size.quantised_source_bytes, size.quantised_bytes, size.ratio_quantised_layers),
    )
    return "".join(
        f'<figure class="r-bars"><figcaption><span>'
        f"{esc(t(f'page.result.size.{name}', language))}</span>"
        f"<strong>{ratio:.2f}×</strong></figcaption>"
        f"{_bar('before', before, most, language)}{_bar('after', after, most, language)}</figure>"
        for name, before, after, ratio in groups
    )


def _bar(name: str, size: int, most: int, language: str) -> str:
    return (
        f'<div class="r-bar" data-name="{name}"><span>{esc(t(f"page.result.{name}", language))}'
        f'</span><i><b style="width:{100 * size / most:.2f}%"></b></i>'
        f'<span class="s-num">{esc(human_bytes(size))}</span></div>'
    )


def layer_charts(manifest: CheckpointManifest, language: str) -> str:
    """How far each weight is from its source; and how sensitive each layer is where that was
    searched for."""
    charts = ""
    errors = _in_order(Column(each.layer, each.relative_error) for each in manifest.layer_errors)
    if errors:
        charts += _chart("error", errors, "{:.2%}", language)
    found = [Column(each.layer, each.score, each.chosen == "none") for each in manifest.sensitivity]
    if found:
        charts += _chart("sensitivity", found, "{:.3g}", language)
    return charts


def block_chart(found: Sensitivity, language: str) -> str:
    """What quantising each block of a denoiser alone does, in the order of the network."""
    columns = [Column(each.block, each.relative_error) for each in found.blocks]
    return _chart("blocks", columns, "{:.2%}", language) if columns else ""


def _in_order(columns: Iterable[Column]) -> list[Column]:
    """From the first layer to the last: layer 10 after layer 2."""

    def place(column: Column) -> list[tuple[int, str]]:
        return [
            (int(part), "") if part.isdigit() else (-1, part) for part in column.layer.split(".")
        ]

    return sorted(columns, key=place)


def _chart(name: str, columns: Sequence[Column], shown: str, language: str) -> str:
    most = max(column.value for column in columns) or 1.0
    bars = "".join(
        f'<rect x="{index * WIDE + 1}" y="{TALL - height:.1f}" width="{WIDE - 2}" '
        f'height="{height:.1f}"{" data-mark" if column.mark else ""}>'
        f"<title>{esc(column.layer)}: {esc(shown.format(column.value))}</title></rect>"
        for index, column in enumerate(columns)
        for height in [max(1.0, TALL * column.value / most)]
    )
    words = t(f"page.result.chart.{name}", language)
    about = t(f"page.result.chart.{name}_about", language)
    label = f"{words}: {len(columns)}, {shown.format(most)}"
    return (
        f'<figure class="r-chart" data-name="{name}"><figcaption>{esc(words)}'
        f"{_experimental(name, language)}</figcaption><p>{esc(about)}</p>"
        f'<div class="r-plot"><span class="s-num">{esc(shown.format(most))}</span>'
        f'<svg viewBox="0 0 {len(columns) * WIDE} {TALL}" preserveAspectRatio="none" role="img" '
        f'aria-label="{esc(label)}">{bars}</svg></div>{_ends(columns)}'
        f"{_worst(columns, shown, language)}</figure>"
    )


def _experimental(name: str, language: str) -> str:
    if name != "sensitivity":
        return ""
    return f'<em class="r-scope">{esc(t("page.result.experimental", language))}</em>'


def _ends(columns: Sequence[Column]) -> str:
    """First and last layer below the plot."""
    first, last = columns[0].layer, columns[-1].layer
    return f'<div class="r-ends"><small>{esc(first)}</small><small>{esc(last)}</small></div>'


def _worst(columns: Sequence[Column], shown: str, language: str) -> str:
    most = sorted(columns, key=lambda column: -column.value)[:MOST_NAMED]
    kept = t("page.result.kept", language)
    rows = "".join(
        f'<tr><th scope="row"><code>{esc(column.layer)}</code></th>'
        f'<td class="s-num">{esc(shown.format(column.value))}</td>'
        f"<td>{esc(kept) if column.mark else ''}</td></tr>"
        for column in most
    )
    return f'<table class="r-table">{rows}</table>'
