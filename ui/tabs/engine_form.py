"""From the build form to a request."""

import re
from typing import Any

from pydantic import BaseModel

from backend.contracts import (
    CalibrationChoices,
    EngineProfile,
    EngineRequest,
    Model,
    Precision,
    Runtime,
    Text,
    Variant,
    VariantState,
)
from backend.errors import Code, StudioError

GIB = 1024**3
NUMBER = re.compile(r"[+-]?[0-9]{1,9}(\.[0-9]{0,9})?")


class BuildForm(BaseModel):
    """The form's fields as the browser sends them; what is empty is left to the studio."""

    model: str = ""
    precision: str = ""
    runtime: str = ""
    target: str = ""
    module: str = ""
    sizes: str = "any"
    """`any` that the model takes, `one` (static), or a `range`."""
    width: str = ""
    height: str = ""
    min_side: str = ""
    opt_width: str = ""
    opt_height: str = ""
    max_side: str = ""
    max_batch: str = ""
    level: str = ""
    workspace: str = ""
    streaming: str = ""
    refit: str = ""
    calibration_level: str = ""
    alpha: str = ""
    percentile: str = ""
    prompts: str = ""
    steps: str = ""
    own_prompts: str = ""
    """Digest of a file of prompts that was sent before."""


class Choice(BaseModel):
    """A model, precision and runtime that go together, chosen from what the form asks for."""

    model: Model
    precision: Precision
    runtime: Runtime

    @property
    def precisions(self) -> tuple[Precision, ...]:
        return tuple(dict.fromkeys(v.precision for v in engine_variants(self.model)))

    @property
    def runtimes(self) -> tuple[Runtime, ...]:
        return tuple(
            v.runtime for v in engine_variants(self.model) if v.precision is self.precision
        )


def engine_variants(model: Model) -> list[Variant]:
    return [variant for variant in model.variants if variant.runtime is not Runtime.TORCH]


def choice_of(form: BuildForm, models: tuple[Model, ...]) -> Choice:
    """What the form asks for, or the nearest that there is. Raises StudioError MODEL_UNKNOWN."""
    buildable = [model for model in models if engine_variants(model)]
    model = next((model for model in buildable if model.id == form.model), None)
    if model is None:
        if form.model or not buildable:
            raise StudioError(Code.MODEL_UNKNOWN, model=form.model[:80])
        model = buildable[0]
    variants = engine_variants(model)
    possible = [v for v in variants if v.state is VariantState.BUILDABLE] or variants
    of_precision = [v for v in variants if v.precision == form.precision] or possible
    variant = next((v for v in of_precision if v.runtime == form.runtime), of_precision[0])
    return Choice(model=model, precision=variant.precision, runtime=variant.runtime)


def read_build(
    form: BuildForm, choice: Choice, calibration: CalibrationChoices | None
) -> EngineRequest:
    """Raises StudioError INVALID_REQUEST for a field that holds no number. Ranges are the backend's
    to check; of a calibration only what the precision has is read."""
    on_gpu = choice.runtime is Runtime.TENSORRT
    workspace = _whole(form.workspace, "workspace") if on_gpu else None
    return EngineRequest(
        model=choice.model.id,
        precision=choice.precision,
        runtime=choice.runtime,
        module=form.module or None,
        target=(form.target or None) if on_gpu else None,
        profile=_profile(form, choice.model),
        optimization_level=3 if not form.level or not on_gpu else int(form.level),
        workspace_bytes=workspace * GIB if workspace else None,
        weight_streaming=bool(form.streaming) and on_gpu,
        refit=bool(form.refit) and on_gpu,
        **_calibration(form, calibration),
    )


def _calibration(form: BuildForm, choices: CalibrationChoices | None) -> dict[str, Any]:
    if choices is None:
        return {}
    levels = {f"{level:g}": level for level in choices.levels}
    read = {
        "level": levels.get(form.calibration_level),
        "calibration_prompts": _whole(form.prompts, "prompts"),
        "calibration_steps": _whole(form.steps, "steps"),
        "prompts": form.own_prompts or None,
    }
    if choices.smoothquant_alpha is not None:
        read["smoothquant_alpha"] = _number(form.alpha, "alpha")
    if choices.percentile is not None:
        read["percentile"] = _number(form.percentile, "percentile")
    return read


def _profile(form: BuildForm, model: Model) -> EngineProfile | None:
    limits = model.limits
    batch = _whole(form.max_batch, "max_batch") or 1
    if form.sizes == "one":
        width = _whole(form.width, "width") or limits.native_width
        height = _whole(form.height, "height") or limits.native_height
        return EngineProfile.of_size(width, height, batch)
    if form.sizes == "range":
        return EngineProfile(
            min_side=_whole(form.min_side, "min_side") or limits.min_side,
            max_side=_whole(form.max_side, "max_side") or limits.max_side,
            opt_width=_whole(form.opt_width, "opt_width") or limits.native_width,
            opt_height=_whole(form.opt_height, "opt_height") or limits.native_height,
            max_batch=batch,
        )
    if batch == 1:
        return None
    return EngineProfile(
        min_side=limits.min_side,
        max_side=limits.max_side,
        opt_width=limits.native_width,
        opt_height=limits.native_height,
        max_batch=batch,
    )


def _whole(value: str, field: str) -> int | None:
    if not value.strip():
        return None
    if not value.strip().isdecimal() or len(value) > 9 or int(value) == 0:
        raise _unreadable("whole", field)
    return int(value)


def _number(value: str, field: str) -> float | None:
    if not value.strip():
        return None
    if not NUMBER.fullmatch(value.strip()):
        raise _unreadable("number", field)
    return float(value)


def _unreadable(wanted: str, field: str) -> StudioError:
    name = Text(key=f"page.build.{field}")
    problem = Text(key=f"page.problem.{wanted}", values={"field": name})
    return StudioError(Code.INVALID_REQUEST, problem=problem)
