"""The private routes of the Engines tab, and of the offer to build on the Images tab."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from backend.contracts import (
    BuildEstimate,
    CalibrationChoices,
    EngineGroup,
    EngineRequest,
    LoadRequest,
    Model,
    Precision,
    Runtime,
    StorageItem,
    Variant,
    VariantState,
)
from backend.errors import Code, StudioError
from backend.studio import part_name
from ui.access import page_owner
from ui.i18n import language_of
from ui.parts.engine_form import build_form
from ui.parts.engine_list import engine_list
from ui.parts.engine_offer import engine_offer
from ui.parts.engine_view import engine_view, layer_rows
from ui.parts.error_card import error_card
from ui.parts.storage import clean_up_plan, clean_up_result, storage_panel
from ui.parts.variant_picker import variant_key
from ui.tabs.engine_form import BuildForm, Choice, choice_of, engine_variants, read_build

if TYPE_CHECKING:
    from backend.studio import Studio


MOST_TEXT_BYTES = 2 * 1024**2
"""More than any file of prompts may have."""


class Wanted(BaseModel):
    key: str
    """`model/precision/runtime`."""
    target: str = ""


class Things(BaseModel):
    keys: tuple[str, ...]


def engine_routes(studio: "Studio") -> APIRouter:
    router = APIRouter(prefix="/studio")
    _reading(router, studio)
    _building(router, studio)
    _disk(router, studio)
    return router


def _reading(router: APIRouter, studio: "Studio") -> None:
    @router.get("/engines")
    def read_engines(request: Request) -> dict[str, Any]:
        page_owner(request)
        groups = studio.engines.groups()
        return {
            "html": engine_list(groups, studio.disk.free_bytes(), language_of(request)),
            "count": len({engine.manifest.id for group in groups for engine in group.engines}),
        }

    @router.get("/engines/view/{engine_id}")
    def read_view(request: Request, engine_id: str) -> dict[str, Any]:
        page_owner(request)
        view = studio.engines.inspect(engine_id)
        kinds = {layer.name: layer.kind for layer in view.layers}
        part = part_name(view.engine.manifest.target)
        return {
            "html": engine_view(view, part, language_of(request)),
            "before": layer_rows(view.layers, {}),
            "after": layer_rows(view.fused, kinds),
        }

    @router.get("/engines/times/{job_id}")
    def read_times(request: Request, job_id: str) -> dict[str, Any]:
        job = studio.jobs.get(job_id, page_owner(request))
        html = "" if job.error is None else error_card(job.error, language_of(request))
        return {"live": job.state.is_live, "html": html}

    @router.get("/engines/form")
    def read_form(request: Request, form: Annotated[BuildForm, Query()]) -> dict[str, Any]:
        page_owner(request)
        models = studio.models.all()
        choice = choice_of(form, models)
        calibration = _calibration(studio, form, choice)
        asked = read_build(form, choice, calibration)
        whole = studio.engines.estimate(asked.model_copy(update={"module": None}))
        modules = tuple(engine.module for engine in whole.engines)
        if asked.module not in modules:
            asked = asked.model_copy(update={"module": None})
        html = build_form(
            form,
            choice,
            [(model.id, model.name) for model in models if engine_variants(model)],
            studio.engines.targets(choice.runtime),
            modules,
            calibration,
            studio.engines.estimate(asked) if asked.module else whole,
            language_of(request),
        )
        return {"html": html}

    @router.get("/engines/offer")
    def read_offer(request: Request, key: str) -> dict[str, str]:
        """What to do about a variant that is not ready; empty for one that is."""
        page_owner(request)
        model, variant = _variant(studio, key)
        if variant.state not in (VariantState.BUILDABLE, VariantState.DOWNLOADABLE):
            return {"html": ""}
        estimate: BuildEstimate | None = None
        if variant.runtime is not Runtime.TORCH:
            estimate = studio.engines.estimate(_request_of(model, variant))
        return {"html": engine_offer(model, variant, estimate, language_of(request))}


def _building(router: APIRouter, studio: "Studio") -> None:
    @router.post("/engines/build")
    def build(request: Request, form: BuildForm) -> dict[str, str]:
        owner = page_owner(request)
        choice = choice_of(form, studio.models.all())
        asked = read_build(form, choice, _calibration(studio, form, choice))
        return {"job": studio.engines.build(asked, owner)}

    @router.post("/engines/prompts/{name}")
    async def keep_prompts(request: Request, name: str) -> dict[str, str]:
        """Keep prompts to calibrate with, for the form's field of that name; the body is a text
        file."""
        page_owner(request)
        return {"own_prompts": studio.engines.keep_prompts(await _content(request), name)}

    @router.post("/engines/complete")
    def complete(request: Request, wanted: Wanted) -> dict[str, list[str]]:
        """Build the modules that a variant's group lacks, and only those, a job each."""
        owner = page_owner(request)
        group = _group(studio, wanted)
        asked = _request_of(*_variant(studio, wanted.key))
        made = next((e.manifest.request for e in group.engines if e.manifest.request), None)
        if made is not None:
            asked = made.model_copy(update={"precision": asked.precision})
        target = None if group.target == "cpu" else group.target
        changes = [{"target": target, "module": module} for module in group.missing]
        return {"jobs": [studio.engines.build(asked.model_copy(update=c), owner) for c in changes]}

    @router.post("/engines/load")
    def load(request: Request, wanted: Wanted) -> dict[str, str]:
        owner = page_owner(request)
        model, variant = _variant(studio, wanted.key)
        asked = LoadRequest(model=model.id, precision=variant.precision, runtime=variant.runtime)
        return {"job": studio.models.load(asked, owner)}

    @router.post("/engines/{action}/{engine_id}")
    def act(
        request: Request, action: Literal["rebuild", "delete", "times"], engine_id: str
    ) -> dict[str, Any]:
        owner = page_owner(request)
        if action == "rebuild":
            return {"job": studio.engines.rebuild(engine_id, owner)}
        if action == "times":
            return {"job": studio.engines.time_layers(engine_id, owner)}
        return {"freed_bytes": studio.engines.delete(engine_id)}


def _disk(router: APIRouter, studio: "Studio") -> None:
    @router.get("/storage")
    def read_storage(request: Request) -> dict[str, str]:
        return {
            "html": storage_panel(studio.disk.storage(page_owner(request)), language_of(request))
        }

    @router.post("/storage/plan")
    def plan(request: Request, things: Things) -> dict[str, Any]:
        """What would go, item by item; what can no longer go is left out."""
        found = studio.disk.storage(page_owner(request))
        going = _chosen(things, [item for group in found.groups for item in group.items])
        return {
            "html": clean_up_plan(going, language_of(request)),
            "keys": [item.key for item in going],
        }

    @router.post("/storage/clean")
    def clean(request: Request, things: Things) -> dict[str, str]:
        done = studio.disk.clean_up(things.keys, page_owner(request))
        return {"html": clean_up_result(done, language_of(request))}


def _chosen(things: Things, items: list[StorageItem]) -> tuple[StorageItem, ...]:
    return tuple(item for item in items if item.key in things.keys and item.kept is None)


def _calibration(studio: "Studio", form: BuildForm, choice: Choice) -> CalibrationChoices | None:
    """What the form can choose of the calibration of what it asks for."""
    asked = EngineRequest(
        model=choice.model.id,
        precision=choice.precision,
        runtime=choice.runtime,
        prompts=form.own_prompts or None,
    )
    return studio.engines.calibration(asked)


async def _content(request: Request) -> bytes:
    """The body, as far as it matters: of a text that is too long, enough to see that."""
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > MOST_TEXT_BYTES:
            break
    return content


def _variant(studio: "Studio", key: str) -> tuple[Model, Variant]:
    """Raises StudioError MODEL_UNKNOWN, VARIANT_UNKNOWN."""
    name, _, rest = key.partition("/")
    model = studio.models.find(name)
    for variant in model.variants:
        if variant_key(model, variant) == key:
            return model, variant
    precision, _, runtime = rest.partition("/")
    raise StudioError(
        Code.VARIANT_UNKNOWN, model=name[:80], precision=precision[:20], runtime=runtime[:20]
    )


def _request_of(model: Model, variant: Variant) -> EngineRequest:
    return EngineRequest(
        model=model.id, precision=Precision(variant.precision), runtime=Runtime(variant.runtime)
    )


def _group(studio: "Studio", wanted: Wanted) -> EngineGroup:
    """Raises StudioError ENGINE_NOT_FOUND."""
    key = f"{wanted.key}/{wanted.target}"
    for group in studio.engines.groups():
        if group.key == key:
            return group
    raise StudioError(Code.ENGINE_NOT_FOUND, engine=key[:120])
