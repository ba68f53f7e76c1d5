"""Layer fusion and precision calibration at work, for a reader who has just learned of them."""

from collections import Counter
from typing import Any

from backend.contracts import EngineLayer, EngineView
from ui.i18n import t
from ui.parts.engine_charts import is_product, is_quantiser, network_strip
from ui.parts.engine_words import precision_mark
from ui.parts.markup import details, esc

SHOWN = 10
QUANTISED = ("int8", "fp8", "nvfp4")


def calibration_story(view: EngineView, language: str) -> str:
    """Where values are rounded, and what that lets be computed in fewer bits; empty for an engine
    that is not quantised."""
    layers = view.layers
    quantisers = [layer for layer in layers if is_quantiser(layer)]
    if not quantisers:
        return ""
    products = [layer for layer in layers if is_product(layer)]
    low = [layer for layer in products if layer.precision in QUANTISED]
    precision = Counter(layer.precision for layer in low).most_common(1)
    name = precision[0][0] if precision else str(view.engine.manifest.precision)
    rounds = sum("dequantize" not in layer.kind.lower() for layer in quantisers)
    words = t(
        "page.inspect.calibration",
        language,
        quantise=rounds,
        dequantise=len(quantisers) - rounds,
        low=len(low),
        products=len(products),
        precision=name.upper(),
    )
    left = [layer for layer in products if layer.precision not in QUANTISED]
    kept = ""
    if left:
        names = "".join(
            f"<li><code>{esc(layer.layer or layer.name)}</code> {precision_mark(layer.precision)}"
            "</li>"
            for layer in left
        )
        title = t("page.inspect.kept", language, count=len(left))
        kept = details("kept", title, f'<ul class="e-kept">{names}</ul>')
    return (
        f'<section class="e-section" id="calibration"><h4>'
        f"{esc(t('page.inspect.calibration_title', language))}</h4>"
        f"<p>{esc(words)}</p>{_diagram(name, quantisers, language)}{kept}</section>"
    )


def _diagram(precision: str, quantisers: list[EngineLayer], language: str) -> str:
    """One quantised product as it stands in the graph."""
    dynamic = [layer.kind for layer in quantisers if layer.kind.endswith("DynamicQuantize")]
    rounding = dynamic[0] if dynamic and precision == "nvfp4" else "QuantizeLinear"
    first, second = (t(f"page.inspect.diagram_{name}", language) for name in ("values", "weights"))
    mark = precision_mark(precision)
    return (
        '<div class="e-diagram" aria-hidden="true">'
        f"<div><span>{esc(first)}</span><i></i><code>{esc(rounding)}</code><i>{mark}</i>"
        "<code>DequantizeLinear</code><i></i></div>"
        f"<div><span>{esc(second)}</span><i>{mark}</i><code>DequantizeLinear</code><i></i></div>"
        "<b>MatMul</b></div>"
    )


def fusion_story(view: EngineView, language: str) -> str:
    """Before and after fusion side by side, and which nodes became one; or why it is not known."""
    title = esc(t("page.inspect.fusion_title", language))
    if not view.fused:
        reason = view.unfused_reason.render(language) if view.unfused_reason else ""
        return (
            f'<section class="e-section" id="fusion"><h4>{title}</h4>'
            f"<p>{esc(t('page.inspect.fusion_what', language))}</p>"
            f'<p class="e-note">{esc(reason)}</p></section>'
        )
    kinds = {layer.name: layer.kind for layer in view.layers}
    patterns: Counter[tuple[str, str]] = Counter()
    added: Counter[str] = Counter()
    for layer in view.fused:
        parts = [kinds.get(part, part) for part in layer.parts]
        if len(parts) > 1:
            patterns[" + ".join(_folded(parts)), layer.kind] += 1
        elif not parts:
            added[layer.kind] += 1
    joined = sum(len(layer.parts) for layer in view.fused if len(layer.parts) > 1)
    made = sum(patterns.values())
    words = t(
        "page.inspect.fusion",
        language,
        before=len(view.layers),
        after=len(view.fused),
        joined=joined,
        made=made,
    )
    extra = ""
    if added:
        names = ", ".join(f"{kind} × {count}" for kind, count in added.most_common(4))
        text = t("page.inspect.added", language, count=sum(added.values()), names=names)
        extra = f'<p class="e-note">{esc(text)}</p>'
    return (
        f'<section class="e-section" id="fusion"><h4>{title}</h4>'
        f"<p>{esc(t('page.inspect.fusion_what', language))} {esc(words)}</p>"
        f'<div class="e-sides">{_side("before", view.layers, language)}'
        f"{_side('after', view.fused, language)}</div>{_patterns(patterns, language)}"
        f"{extra}</section>"
    )


def _side(name: str, layers: tuple[EngineLayer, ...], language: str) -> str:
    return (
        f"<figure><figcaption>{esc(t(f'page.inspect.{name}', language))} "
        f'<b class="s-num">{len(layers):,}</b></figcaption>'
        f"{network_strip(layers, language)}</figure>"
    )


def _folded(kinds: list[str]) -> list[str]:
    """`Mul, Mul, Add` as `Mul × 2, Add`."""
    found: list[list[Any]] = []
    for kind in kinds:
        if found and found[-1][0] == kind:
            found[-1][1] += 1
        else:
            found.append([kind, 1])
    return [kind if count == 1 else f"{kind} × {count}" for kind, count in found]


def _patterns(patterns: Counter[tuple[str, str]], language: str) -> str:
    if not patterns:
        return ""
    rows = [
        f"<tr><td>{_chips(parts)}</td><td aria-label='→'>→</td>"
        f'<td><code class="e-fused">{esc(kind)}</code></td>'
        f'<td class="s-num">× {count}</td></tr>'
        for (parts, kind), count in patterns.most_common()
    ]
    shown = f'<table class="e-patterns"><tbody>{"".join(rows[:SHOWN])}</tbody></table>'
    if len(rows) > SHOWN:
        more = f'<table class="e-patterns"><tbody>{"".join(rows[SHOWN:])}</tbody></table>'
        title = t("page.inspect.more_patterns", language, count=len(rows) - SHOWN)
        shown += details("patterns", title, more)
    return shown


def _chips(parts: str) -> str:
    return " + ".join(f"<code>{esc(part)}</code>" for part in parts.split(" + "))
