"""What the wizard's fields hold, and what each sort of model makes of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from backend.contracts import DatasetRequest, QuantizeImagesRequest, QuantizeRequest
from backend.errors import Code, StudioError
from backend.language import Text, text

if TYPE_CHECKING:
    from backend.studio import Studio

STEPS = ("model", "recipe", "calibration", "preflight", "run")
PICTURES = "pictures:"
"""What the name of a picture model begins with in `model`."""
USUAL = QuantizeRequest(model="")
SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
Made = TypeVar("Made", QuantizeRequest, QuantizeImagesRequest, DatasetRequest)
SAME = (
    *("recipe", "kv_cache", "effective_bits", "calibration", "evaluation", "out"),
    *("samples", "length", "batch", "evaluation_tokens"),
)
"""Fields that have the names of a request's."""
DIGEST_LENGTH = 64
WHOLE = ("samples", "length", "batch", "evaluation_tokens")


class QuantizeForm(BaseModel):
    """The wizard's state as the page keeps and sends it."""

    step: str = "model"
    model: str = "demo-chat"
    other: str = ""
    """A repository or a folder, which then counts."""
    recipe: str = USUAL.recipe
    kv_cache: str = USUAL.kv_cache
    leave_out: str = ""
    """Patterns between spaces or commas."""
    effective_bits: str = ""
    calibration: str = USUAL.calibration
    own_text: str = ""
    """The reader's own text that was kept last, by digest, and what it was called."""
    own_file: str = ""
    evaluation: str = ""
    evaluation_file: str = ""
    samples: str = ""
    length: str = ""
    batch: str = ""
    evaluation_tokens: str = ""
    dataset: str = ""
    part: str = ""
    split: str = ""
    column: str = ""
    rows: str = ""
    out: str = ""
    replace: str = ""
    precision: str = ""
    """Of a picture model, as all that follows but the job."""
    level: str = ""
    smoothquant_alpha: str = ""
    percentile: str = ""
    runtime: str = ""
    target: str = ""
    prompts: str = ""
    """Prompts to calibrate on, by digest; none for the model's own."""
    own_prompts: str = ""
    own_prompts_file: str = ""
    compared: str = ""
    """Prompts to compare pictures of, by digest."""
    compared_file: str = ""
    watched: str = ""
    watched_steps: str = ""
    count: str = ""
    seed: str = ""
    picture_steps: str = ""
    guidance: str = ""
    width: str = ""
    height: str = ""
    ask: str = ""
    """Whether the hub may be asked now."""
    job: str = ""

    @property
    def wanted(self) -> str:
        return self.other.strip() or self.model

    @property
    def of_pictures(self) -> bool:
        return self.wanted.startswith(PICTURES)

    @property
    def patterns(self) -> tuple[str, ...]:
        return tuple(self.leave_out.replace(",", " ").split())


def request_of(form: QuantizeForm) -> QuantizeRequest:
    """Raises StudioError INVALID_REQUEST."""
    numbers = {name: whole(name, getattr(form, name)) for name in WHOLE if getattr(form, name)}
    values = numbers | {
        "model": form.wanted,
        "recipe": form.recipe,
        "kv_cache": form.kv_cache,
        "leave_out": form.patterns,
        "calibration": form.calibration,
        "evaluation": form.evaluation or None,
        "effective_bits": form.effective_bits.strip() or None,
        "out": form.out.strip() or None,
        "replace": bool(form.replace),
    }
    return checked(QuantizeRequest, values)


def fields_of(request: QuantizeRequest) -> dict[str, str]:
    """What the fields hold where a request came from them."""
    values = request.model_dump()
    own = request.calibration if len(request.calibration) == DIGEST_LENGTH else ""
    return {name: "" if values[name] is None else str(values[name]) for name in SAME} | {
        "model": request.model,
        "other": "",
        "leave_out": " ".join(request.leave_out),
        "replace": "1" if request.replace else "",
        **({"own_text": own} if own else {}),
    }


def dataset_of(form: QuantizeForm) -> DatasetRequest:
    """Raises StudioError INVALID_REQUEST."""
    names = ("dataset", "part", "split", "column")
    values = {name: getattr(form, name).strip() for name in names if getattr(form, name).strip()}
    if form.rows:
        values |= {"rows": whole("rows", form.rows)}
    return checked(DatasetRequest, {"dataset": ""} | values)


def checked(kind: type[Made], values: dict[str, Any]) -> Made:
    """Raises StudioError INVALID_REQUEST."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        problem = _problem(str(first["loc"][0]), first.get("ctx") or {})
        raise StudioError(Code.INVALID_REQUEST, str(error), problem=problem) from error


def _problem(name: str, limits: dict[str, Any]) -> Text:
    field = text(f"page.quantize.field.{name}")
    if name == "dataset":
        return text("page.quantize.problem.dataset", field=field)
    allowed = [f"{sign} {limits[key]:g}" for key, sign in SIGNS.items() if key in limits]
    if not allowed:
        return text("page.problem.number", field=field)
    return text("page.quantize.problem.range", field=field, limits=", ".join(allowed))


def whole(name: str, value: str) -> int:
    """Raises StudioError INVALID_REQUEST."""
    if not value.strip().isdecimal() or len(value.strip()) > 9:
        problem = text("page.problem.whole", field=text(f"page.quantize.field.{name}"))
        raise StudioError(Code.INVALID_REQUEST, problem=problem)
    return int(value)


@dataclass(frozen=True)
class Page:
    """A step as it is drawn, and whether one can go on from it. `heading` is added to the step's
    name where its title is another than the usual."""

    html: str
    ready: bool = True
    heading: str = ""


Draw = Callable[["Studio", QuantizeForm, str, str], Page]
"""Of the studio, the form, the reader's owner and language."""


@dataclass(frozen=True)
class Sort:
    """How one sort of model is quantised: a function for each step that depends on it, and what
    starts the job and answers its id."""

    model: Draw
    recipe: Draw
    calibration: Draw
    preflight: Draw
    run: Draw
    start: Callable[["Studio", QuantizeForm, str], str]
