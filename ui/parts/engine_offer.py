"""What the Images tab offers for a variant that cannot make pictures yet."""

from backend.contracts import BuildEstimate, Model, Runtime, Variant, VariantState
from backend.language import human_bytes
from ui.i18n import t
from ui.parts.engine_words import rough_seconds
from ui.parts.error_card import error_card
from ui.parts.markup import button, esc
from ui.parts.metrics_line import RUNTIME_NAMES
from ui.parts.variant_picker import variant_key


def engine_offer(
    model: Model, variant: Variant, estimate: BuildEstimate | None, language: str
) -> str:
    """A card with the build or download, and PyTorch in the meantime; `estimate` is None for a
    variant that is not built."""
    said = t(f"page.offer.{variant.state}", language)
    if estimate is not None and estimate.problem is not None:
        title = t("page.build.refused", language)
        return error_card(
            estimate.problem, language, title=title, key="offer", actions=_instead(model, language)
        )
    prepare = (
        '<button type="button" class="e-primary" data-action="build-generate" '
        f'id="offer-build">{esc(_words(model, variant, estimate, language))}</button>'
    )
    return (
        f'<section class="s-card e-offer" data-state="{esc(variant.state)}"><p>{esc(said)}</p>'
        f'<div class="e-choices">{prepare}{_instead(model, language)}</div></section>'
    )


def _words(model: Model, variant: Variant, estimate: BuildEstimate | None, language: str) -> str:
    if variant.state is VariantState.DOWNLOADABLE:
        key = "page.offer.fetch" if estimate is None else "page.offer.fetch_build"
        return t(key, language, size=human_bytes(model.size_bytes))
    assert estimate is not None
    size = human_bytes(estimate.engine_bytes + estimate.onnx_bytes)
    if estimate.seconds is None:
        return t("page.offer.build_unknown", language, size=size)
    time = rough_seconds(estimate.seconds)
    return t("page.offer.build", language, time=time, size=size)


def _instead(model: Model, language: str) -> str:
    """The variant that needs no engine, named."""
    for variant in model.variants:
        if variant.runtime is Runtime.TORCH and variant.state is VariantState.READY:
            name = f"{RUNTIME_NAMES[variant.runtime]} {variant.precision.upper()}"
            return button(
                t("page.offer.instead", language, name=name),
                "generate-instead",
                variant=variant_key(model, variant),
            )
    return ""
