"""The fourth step for picture models: what a job would take, and what is in its way."""

from backend.contracts import ImageQuantizePlan
from backend.language import human_bytes
from ui.i18n import t
from ui.parts.engine_words import module_name
from ui.parts.markup import button, esc
from ui.parts.quantize_frame import facts, note
from ui.parts.quantize_preflight import check_row
from ui.parts.quantize_recipe import sizes

LABELS = {"text": "prompts"}


def images_preflight_step(plan: ImageQuantizePlan, language: str) -> str:
    words = t("page.quantize.ask", language)
    ask = button(words, "quantize-ask-again", symbol="download")
    checks = "".join(
        check_row(each, ask, language, LABELS.get(each.name, "")) for each in plan.checks
    )
    rows = sizes(plan.size, language, "denoiser") if plan.size else []
    rows += [
        ("memory", human_bytes(plan.memory_bytes) if plan.memory_bytes else "", ""),
        ("disk", human_bytes(plan.disk_bytes) if plan.disk_bytes else "", ""),
        *_engines(plan, language),
    ]
    simulated = note(t("page.quantize.simulated", language), "warn") if plan.simulated else ""
    return (
        f'<div class="q-columns"><div class="q-list"><ul class="q-checks">{checks}</ul></div>'
        f'<aside class="q-aside"><h3 class="q-title">{esc(t("page.quantize.comes_to", language))}'
        f"</h3>{facts(rows, language)}{simulated}</aside></div>"
    )


def _engines(plan: ImageQuantizePlan, language: str) -> list[tuple[str, str, str]]:
    """The modules that are built, and those that are there already."""
    found = plan.engines.engines if plan.engines else ()
    there = [module_name(one.module, language) for one in found if one.there]
    built = [module_name(one.module, language) for one in found if not one.there]
    told = t("page.quantize.engines_there", language, modules=", ".join(there)) if there else ""
    nothing = t("page.quantize.engines_none", language) if found else ""
    return [("engines", ", ".join(built) or nothing, told)]
