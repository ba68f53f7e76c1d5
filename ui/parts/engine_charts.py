"""An engine's layers as bars: drawn from their counts and bytes, in the colours of precisions."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby

from backend.contracts import EngineLayer
from backend.language import human_bytes
from ui.i18n import t
from ui.parts.engine_words import precision_mark
from ui.parts.markup import esc

ORDER = ("fp32", "fp16", "bf16", "int8", "fp8", "nvfp4")
OTHER = "other"
"""Integers and truth values: shapes, indices, masks."""
PRODUCTS = ("MatMul", "Gemm", "Conv", "Attention", "Multiply", "gemm", "Convolution")
TALL, LOW = 30, 13
TICK_TOP, HEIGHT = 34, 42
MOST_KINDS = 12


def colour_of(precision: str) -> str:
    name = {"uint8": "int8"}.get(precision, precision)
    return name if name in ORDER else OTHER


def is_product(layer: EngineLayer) -> bool:
    """Whether it is a layer that has the work of a network: a product or a convolution."""
    return any(word in layer.kind for word in PRODUCTS)


def is_quantiser(layer: EngineLayer) -> bool:
    return layer.kind.lower().endswith(("quantizelinear", "dynamicquantize", "quantize"))


def network_strip(layers: Sequence[EngineLayer], language: str) -> str:
    """The whole network from input to output, one thin column a layer: tall ones are products and
    convolutions, ticks below are Q/DQ nodes."""
    marks, ticks = [], []
    place = 0
    runs = groupby(layers, lambda layer: (colour_of(layer.precision), is_product(layer),
                                          is_quantiser(layer)))  # fmt: skip
    for (colour, product, quantiser), run in runs:
        width = len(list(run))
        if quantiser:
            ticks.append(_rect(place, TICK_TOP, width, HEIGHT - TICK_TOP, colour))
        else:
            height = TALL if product else LOW
            marks.append(_rect(place, TALL - height, width, height, colour))
        place += width
    quantisers = sum(is_quantiser(layer) for layer in layers)
    words = t(
        "page.inspect.strip",
        language,
        count=len(layers),
        products=sum(is_product(layer) for layer in layers),
        quantisers=quantisers,
    )
    height = HEIGHT if quantisers else TALL
    return (
        f'<svg class="e-strip" viewBox="0 0 {max(place, 1)} {height}" preserveAspectRatio="none" '
        f'style="height:{height}px" role="img" aria-label="{esc(words)}">'
        f"{''.join(marks)}{''.join(ticks)}</svg>"
    )


def _rect(x: int, y: int, width: int, height: int, colour: str) -> str:
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" data-precision="{colour}"></rect>'
    )


def precision_bars(layers: Iterable[EngineLayer], language: str) -> str:
    """Layers and bytes of weights by precision, each as one bar, with a legend of both."""
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for layer in layers:
        counts[colour_of(layer.precision)] += 1
        sizes[colour_of(layer.precision)] += layer.bytes
    present = [name for name in (*ORDER, OTHER) if counts[name]]
    legend = "".join(
        f'<tr><th scope="row">{_name(name, language)}</th>'
        f'<td class="s-num">{counts[name]:,}</td><td class="s-num">{_share(counts, name)}</td>'
        f'<td class="s-num">{esc(human_bytes(sizes[name]))}</td>'
        f'<td class="s-num">{_share(sizes, name)}</td></tr>'
        for name in present
    )
    heads = "".join(
        f'<th scope="col" colspan="{span}">{esc(t(f"page.inspect.{key}", language))}</th>'
        for key, span in (("precision", 1), ("layers", 2), ("weights", 2))
    )
    return (
        f"{_bar(present, counts, t('page.inspect.layers', language))}"
        f"{_bar(present, sizes, t('page.inspect.weights', language))}"
        f'<table class="e-legend"><thead><tr>{heads}</tr></thead><tbody>{legend}</tbody></table>'
    )


def _name(name: str, language: str) -> str:
    if name == OTHER:
        words = esc(t("page.inspect.other", language))
        return f'<b class="e-precision" data-precision="other">{words}</b>'
    return precision_mark(name)


def _bar(names: list[str], amounts: Counter[str], label: str) -> str:
    whole = sum(amounts.values()) or 1
    pieces = "".join(
        f'<i data-precision="{name}" style="width:{100 * amounts[name] / whole:.2f}%"></i>'
        for name in names
        if amounts[name]
    )
    return f'<div class="e-bar"><span>{esc(label)}</span><div>{pieces}</div></div>'


def _share(amounts: Counter[str], name: str) -> str:
    whole = sum(amounts.values())
    share = 100 * amounts[name] / whole if whole else 0
    return f"{share:.0f} %" if share >= 1 or share == 0 else "< 1 %"


def kind_bars(layers: Sequence[EngineLayer], language: str) -> str:
    """The most frequent kinds of layers, each bar split by precision."""
    kinds = Counter(layer.kind for layer in layers)
    most = kinds.most_common(MOST_KINDS)
    longest = most[0][1] if most else 1
    rows = ""
    for kind, count in most:
        by_precision = Counter(colour_of(one.precision) for one in layers if one.kind == kind)
        size = sum(layer.bytes for layer in layers if layer.kind == kind)
        pieces = "".join(
            f'<i data-precision="{each}" style="width:{100 * by_precision[each] / longest:.2f}%">'
            "</i>"
            for each in (*ORDER, OTHER)
            if by_precision[each]
        )
        weights = human_bytes(size) if size else ""
        rows += (
            f'<tr><th scope="row">{esc(kind)}</th><td><div class="e-kind">{pieces}</div></td>'
            f'<td class="s-num">{count:,}</td><td class="s-num">{esc(weights)}</td></tr>'
        )
    rest = len(layers) - sum(count for _, count in most)
    if rest:
        words = t("page.inspect.other_kinds", language, kinds=len(kinds) - len(most))
        rows += (
            f'<tr class="s-muted"><th scope="row">{esc(words)}</th><td></td>'
            f'<td class="s-num">{rest:,}</td><td></td></tr>'
        )
    return f'<table class="e-kinds"><tbody>{rows}</tbody></table>'
