"""The wizard's steps for picture models, whose engines are quantised on the Engines tab."""

from typing import TYPE_CHECKING

from backend.contracts import Model
from backend.errors import Code, StudioError
from backend.language import human_bytes, text
from ui.i18n import t
from ui.parts.markup import button, esc
from ui.parts.quantize_form import PICTURES, Page, QuantizeForm, Sort
from ui.parts.quantize_frame import facts, note

if TYPE_CHECKING:
    from backend.studio import Studio


def _model(studio: "Studio", form: QuantizeForm, owner: str, language: str) -> Page:
    model = studio.models.find(form.wanted.removeprefix(PICTURES))
    return Page(_facts(model, language), ready=False)


def _facts(model: Model, language: str) -> str:
    rows = [
        ("architecture", model.family.upper(), ""),
        ("weights", human_bytes(model.size_bytes), ""),
        ("licence", model.licence, ""),
    ]
    words = t("page.quantize.to_engines", language)
    go = button(words, "quantize-engines", symbol="next")
    return (
        f"<h3>{esc(model.name)}</h3>{facts(rows, language)}"
        f'{note(t("page.quantize.pictures_elsewhere", language))}<div class="s-row">{go}</div>'
    )


def _elsewhere(studio: "Studio", form: QuantizeForm, owner: str, language: str) -> Page:
    return Page(note(t("page.quantize.pictures_elsewhere", language)), ready=False)


def _start(studio: "Studio", form: QuantizeForm, owner: str) -> str:
    """Raises StudioError INVALID_REQUEST."""
    problem = text("page.quantize.pictures_elsewhere")
    raise StudioError(Code.INVALID_REQUEST, problem=problem)


PICTURE = Sort(_model, _elsewhere, _elsewhere, _elsewhere, _elsewhere, _start)
