"""The button elsewhere on the page that opens the Compare tab with something in its form."""

import json
from typing import Any

from backend.contracts import GenerateRequest
from ui.i18n import t
from ui.parts.compare_form import PICTURES, SEPARATOR, TEXT, WRITTEN
from ui.parts.markup import button


def compare_button(fields: dict[str, Any], language: str) -> str:
    """`fields` are those of `CompareForm`."""
    words = t("page.compare.with", language)
    return button(words, "compare-with", symbol="columns", fields=json.dumps(fields))


def text_fields(base: str, model: str) -> dict[str, Any]:
    """A checkpoint beside what it was made of, each by the first server that there is for it."""
    pair = [f"{base}{SEPARATOR}", f"{model}{SEPARATOR}"]
    return {
        "mode": TEXT,
        "base": base,
        "beside": model if model.startswith("/") else "",
        "servers": pair,
        "text_reference": pair[0],
    }


def variant_fields(model: str, variants: tuple[str, ...]) -> dict[str, Any]:
    """Variants as `precision/runtime`, the reference first."""
    asked = {"variants": list(variants), "reference": variants[0]}
    return {"mode": PICTURES, "model": model} | asked | _own_numbers()


def picture_fields(request: GenerateRequest) -> dict[str, Any]:
    """The very pictures that a job made, by its variant and others."""
    return {
        "mode": PICTURES,
        "model": request.model,
        "variants": [],
        "reference": f"{request.precision}/{request.runtime}",
        "source": WRITTEN,
        "written": " ".join(request.prompt.split()),
        "negative": request.negative_prompt,
        "random": "",
        "seed": str(request.seed),
        "seeds": str(request.count),
        "steps": str(request.steps),
        "guidance": f"{request.guidance:g}",
        "width": str(request.width),
        "height": str(request.height),
    }


def _own_numbers() -> dict[str, str]:
    """The model's own, whatever the form held of another one."""
    return dict.fromkeys(("steps", "guidance", "width", "height"), "")
