"""How engines are put into words, wherever they are shown."""

import time

from backend.contracts import EngineManifest
from backend.language import human_seconds
from ui.i18n import t
from ui.parts.markup import esc

EDITION_NAMES = {
    "rtx": "TensorRT for RTX",
    "enterprise": "TensorRT",
    "onnxruntime": "ONNX Runtime",
}


def precision_mark(precision: str) -> str:
    """A precision's name with the colour that it has in every chart."""
    return f'<b class="e-precision" data-precision="{esc(precision)}">{esc(precision.upper())}</b>'


def module_name(module: str, language: str) -> str:
    """A module as people call it: the denoiser of a FLUX model is its transformer."""
    known = {
        "text_encoder", "text_encoder_2", "transformer", "unet", "vae_decoder", "onnx"
    }  # fmt: skip
    return t(f"page.module.{module}", language) if module in known else module


def edition_name_of(edition: str) -> str:
    return EDITION_NAMES.get(edition, edition)


def edition_name(made: EngineManifest) -> str:
    return f"{edition_name_of(made.edition)} {made.version}"


def target_words(target: str, part: str, language: str) -> str:
    """`GB10 (DGX Spark) — sm121`, or the CPU."""
    return t("page.target.cpu", language) if target == "cpu" else f"{part} — {target}"


def profile_words(made: EngineManifest, language: str) -> tuple[str, str]:
    """The sizes that an engine takes, and what it is tuned for."""
    profile = made.profile
    if profile is None:
        tuned = ", ".join(
            f"{name} {'x'.join(map(str, one[1]))}" for name, one in made.shapes.items()
        )
        return tuned, ""
    if profile.one_size:
        static = t("page.profile.static", language, batch=profile.max_batch)
        return f"{profile.opt_width} × {profile.opt_height} px", static
    best = t(
        "page.profile.dynamic",
        language,
        width=profile.opt_width,
        height=profile.opt_height,
        batch=profile.max_batch,
    )
    return f"{profile.min_side}–{profile.max_side} px", best


def rough_seconds(seconds: float) -> str:
    """A guessed duration, with no more digits than a guess has."""
    if seconds < 60:
        return f"{max(5, round(seconds / 5) * 5)} s"
    if seconds < 3600:
        return f"{max(1, round(seconds / 60))} min"
    return human_seconds(round(seconds / 600) * 600)


def when(created_at: float) -> str:
    """A date and time that sorts."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(created_at))
