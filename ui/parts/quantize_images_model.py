"""What is known of a picture model, whether it can be quantised, and by which recipes."""

from backend.contracts import ImageRecipes, Model
from backend.language import human_bytes
from ui.i18n import t
from ui.parts.markup import esc, icon
from ui.parts.quantize_frame import facts, note
from ui.parts.quantize_model import count
from ui.parts.quantize_recipe import hidden_recipes


def picture_facts(model: Model, found: ImageRecipes, language: str) -> str:
    place = "page.quantize.here" if found.here else "page.quantize.to_fetch"
    denoiser = t("page.quantize.denoiser_parameters", language, parameters=count(found.parameters))
    rows = [
        ("architecture", model.family.upper(), ""),
        ("parameters", denoiser, ""),
        ("weights", human_bytes(model.size_bytes), ""),
        ("licence", found.licence, ""),
        ("place", t(place, language), ""),
    ]
    body = f'<h3 dir="auto">{esc(found.name)}</h3>{facts(rows, language)}'
    if not found.here:
        body += note(t("page.quantize.pictures_to_fetch", language))
    possible = [one for one in found.recipes if one.possible]
    if possible:
        chips = "".join(f"<li>{esc(one.title)}</li>" for one in possible)
        said = esc(t("page.quantize.supported", language, count=len(possible)))
        body += (
            f'<p class="q-good">{icon("check")}<span>{said}</span></p>'
            f'<ul class="q-chips">{chips}</ul>'
        )
    hidden = [(one.title, one.reason) for one in found.recipes if not one.possible]
    return body + (hidden_recipes(hidden, language) if hidden else "")
