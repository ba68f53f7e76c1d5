"""From the form to a request, and from settings back to the form."""

from typing import Any, Literal

import gradio as gr

from backend.contracts import GenerateRequest, ImageLimits, Model, Text
from backend.errors import Code, StudioError
from ui.parts.sizes import aspect_of

WHOLE_NUMBERS = ("width", "height", "steps", "seed", "count")


def read_request(
    prompt: str, negative_prompt: str, variant: str, numbers: dict[str, float | None]
) -> GenerateRequest:
    """The request that the form describes.

    Raises StudioError INVALID_REQUEST for a field that holds no number, or a fraction where only
    whole numbers make sense. Ranges are the backend's to check.
    """
    for name, value in numbers.items():
        if value is None or (name in WHOLE_NUMBERS and value != int(value)):
            key = "page.problem.whole" if name in WHOLE_NUMBERS else "page.problem.number"
            field = Text(key=f"label.{name}")
            raise StudioError(Code.INVALID_REQUEST, problem=Text(key=key, values={"field": field}))
    model, precision, runtime = variant.split("/")
    texts = {"prompt": prompt, "negative_prompt": negative_prompt}
    return GenerateRequest.model_validate(
        texts | {"model": model, "precision": precision, "runtime": runtime} | numbers
    )


def default_settings(variant: str, models: tuple[Model, ...]) -> dict[str, Any]:
    """The settings that suit a variant's model, prompt and seed left as they are."""
    limits = _limits(variant, models)
    if limits is None:
        return {}
    return {
        "variant": variant,
        "width": limits.native_width,
        "height": limits.native_height,
        "steps": limits.default_steps,
        "guidance": limits.default_guidance,
    }


def form_of(settings: dict[str, Any], models: tuple[Model, ...]) -> list[Any]:
    """Updates for `Controls.form`; what `settings` leaves out, or holds in a strange type, stays.

    `settings` is a request as data, or what the page remembered of the form, so nothing in it is
    taken on trust.
    """
    variant = settings.get("variant")
    if variant is None and "model" in settings:
        variant = "{model}/{precision}/{runtime}".format_map(settings)
    limits = _limits(variant, models) if isinstance(variant, str) else None
    width, height = _number(settings, "width"), _number(settings, "height")
    keep_seed = settings.get("keep_seed", True if "seed" in settings else None)
    prompt = settings.get("prompt")
    return [
        prompt if isinstance(prompt, str) else gr.skip(),
        variant if limits else gr.skip(),
        width if width is not None else gr.skip(),
        height if height is not None else gr.skip(),
        _slider(settings, "steps", limits.max_steps if limits else None),
        _slider(settings, "guidance", limits.max_guidance if limits else None),
        _negative_prompt(settings, limits),
        _slider(settings, "seed", None),
        keep_seed if isinstance(keep_seed, bool) else gr.skip(),
        _slider(settings, "count", limits.max_count if limits else None),
        aspect_of(width, height) if width and height else gr.skip(),
    ]


def negative_prompt_visible(limits: ImageLimits) -> bool | Literal["hidden"]:
    """Hidden, not absent: the page's scripts wait for every field."""
    return True if limits.takes_negative_prompt else "hidden"


def _negative_prompt(settings: dict[str, Any], limits: ImageLimits | None) -> Any:
    """Emptied where the model takes none, so that nothing unseen is sent."""
    value = settings.get("negative_prompt")
    changes: dict[str, Any] = {"value": value} if isinstance(value, str) else {}
    if limits:
        changes["visible"] = negative_prompt_visible(limits)
        if not limits.takes_negative_prompt:
            changes["value"] = ""
    return gr.update(**changes)


def _number(settings: dict[str, Any], name: str) -> float | None:
    value = settings.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _slider(settings: dict[str, Any], name: str, maximum: float | None) -> Any:
    value = _number(settings, name)
    if maximum is None:
        return gr.skip() if value is None else value
    return gr.update(maximum=maximum) if value is None else gr.update(maximum=maximum, value=value)


def _limits(variant: str, models: tuple[Model, ...]) -> ImageLimits | None:
    for model in models:
        for each in model.variants:
            if variant == f"{model.id}/{each.precision}/{each.runtime}":
                return model.limits
    return None
