"""What the fields of the Compare tab hold, and the requests they make."""

import secrets
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from backend.contracts import (
    CompareRequest,
    CompareTextRequest,
    CompareVariant,
    Model,
    Precision,
    Runtime,
    Sampling,
    ServerKind,
    TextVariant,
    VariantState,
)
from backend.errors import Code, StudioError
from backend.language import text
from backend.studio import MAX_SEED

PICTURES, TEXT = "pictures", "text"
WRITTEN, FILE, BUILT_IN = "written", "file", "built_in"
USUAL_BUILT_IN, USUAL_MAX_TOKENS = 4, 256
MOST_SEEDS = 64
MOST_DIGITS = 20
SEPARATOR = "|"
"""Between the parts of a text variant's value, which may hold slashes."""
SIMULATED = "simulated"


class CompareForm(BaseModel):
    """The form's state as the page keeps and sends it; fields of both modes."""

    mode: str = PICTURES
    model: str = ""
    variants: list[str] = []
    """`precision/runtime`."""
    reference: str = ""
    source: str = WRITTEN
    written: str = ""
    own: list[str] = []
    """The prompts of the reader's file, and what it is called."""
    own_name: str = ""
    built_in: str = ""
    """How many of the built-in ones."""
    random: str = ""
    seed: str = ""
    seeds: str = ""
    """How many, counting up from `seed` or drawn at random."""
    steps: str = ""
    guidance: str = ""
    width: str = ""
    height: str = ""
    negative: str = ""
    encode_each: str = ""
    keep_loaded: str = ""
    base: str = ""
    """The language model; its checkpoints stand beside it."""
    beside: str = ""
    """Another model that is offered too."""
    servers: list[str] = []
    """`model|server` or `model|simulated`."""
    text_reference: str = ""
    text_source: str = WRITTEN
    text_written: str = ""
    text_own: list[str] = []
    text_own_name: str = ""
    text_built_in: str = ""
    system: str = ""
    temperature: str = ""
    max_tokens: str = ""
    text_seed: str = ""
    together: str = ""


@dataclass(frozen=True)
class Prompts:
    """The fields of the prompts of either mode."""

    source: str
    written: str
    own: list[str]
    own_name: str
    built_in: str
    before: str = ""
    """What the names of the fields begin with."""

    def chosen(self, built_in: tuple[str, ...]) -> tuple[str, ...]:
        """Raises StudioError INVALID_REQUEST."""
        if self.source == FILE:
            return tuple(self.own)
        if self.source == BUILT_IN:
            return built_in[: whole("built_in", self.built_in, USUAL_BUILT_IN)]
        return tuple(line.strip() for line in self.written.splitlines() if line.strip())


def prompts_of(form: CompareForm) -> Prompts:
    if form.mode == TEXT:
        told = (form.text_source, form.text_written, form.text_own)
        return Prompts(*told, form.text_own_name, form.text_built_in, "text_")
    return Prompts(form.source, form.written, form.own, form.own_name, form.built_in)


def model_of(form: CompareForm, models: tuple[Model, ...]) -> Model:
    return next((one for one in models if one.id == form.model), models[0])


def chosen_variants(form: CompareForm, model: Model) -> tuple[str, ...]:
    """Those that were ticked and are ready, the reference first; nothing was yet: the reference
    and the first others that are, two in all."""
    ready = [
        f"{one.precision}/{one.runtime}"
        for one in model.variants
        if one.state is VariantState.READY
    ]
    if form.variants:
        return in_order([one for one in form.variants if one in ready], form.reference)
    return in_order(ready, form.reference)[:2]


def in_order(found: list[str], reference: str) -> tuple[str, ...]:
    return tuple(sorted(found, key=lambda one: one != reference))


def variant_of(value: str) -> CompareVariant:
    precision, _, runtime = value.partition("/")
    return CompareVariant(precision=Precision(precision), runtime=Runtime(runtime))


def server_of(value: str) -> TextVariant:
    """Raises StudioError INVALID_REQUEST."""
    model, _, kind = value.rpartition(SEPARATOR)
    simulated = kind == SIMULATED
    kinds = {str(one): one for one in ServerKind}
    if kind not in kinds and not simulated:
        raise StudioError(Code.INVALID_REQUEST, problem=text("page.servers.problem_server"))
    served_by = ServerKind.TRANSFORMERS if simulated else kinds[kind]
    return TextVariant(model=model, kind=served_by, simulated=simulated)


def seed_count(form: CompareForm) -> int:
    """Raises StudioError INVALID_REQUEST."""
    count = whole("seeds", form.seeds, 1)
    if not 1 <= count <= MOST_SEEDS:
        field = text("page.compare.field.seeds")
        problem = text("page.compare.problem.range", field=field, low=1, high=MOST_SEEDS)
        raise StudioError(Code.INVALID_REQUEST, problem=problem)
    return count


def request_of(
    form: CompareForm, model: Model, prompts: tuple[str, ...], named: bool = True
) -> CompareRequest:
    """With random seeds drawn, unless they are only to be counted. Raises StudioError
    INVALID_REQUEST."""
    count = seed_count(form)
    if form.random and named:
        seeds = tuple(secrets.randbelow(MAX_SEED + 1) for _ in range(count))
    else:
        first = whole("seed", form.seed, 0)
        seeds = tuple(range(first, first + count))
    limits = model.limits
    return CompareRequest(
        model=model.id,
        variants=tuple(variant_of(one) for one in chosen_variants(form, model)),
        prompts=prompts,
        negative_prompt=form.negative.strip() if limits.takes_negative_prompt else "",
        seeds=seeds,
        steps=whole("steps", form.steps, limits.default_steps),
        guidance=number("guidance", form.guidance, limits.default_guidance),
        width=whole("width", form.width, limits.native_width),
        height=whole("height", form.height, limits.native_height),
        share_embeddings=not form.encode_each,
        keep_loaded=bool(form.keep_loaded),
    )


def text_request_of(
    form: CompareForm, servers: tuple[str, ...], prompts: tuple[str, ...]
) -> CompareTextRequest:
    """Raises StudioError INVALID_REQUEST."""
    sampling = Sampling(
        temperature=number("temperature", form.temperature, 0.0),
        max_tokens=whole("max_tokens", form.max_tokens, USUAL_MAX_TOKENS),
        seed=whole("text_seed", form.text_seed, 0) if form.text_seed.strip() else None,
    )
    return CompareTextRequest(
        variants=tuple(server_of(one) for one in servers),
        prompts=prompts,
        system=form.system.strip(),
        sampling=sampling,
        together=bool(form.together),
    )


def form_of(request: CompareRequest | CompareTextRequest) -> dict[str, Any]:
    """What the fields hold where a request came from them."""
    if isinstance(request, CompareTextRequest):
        return _text_form(request)
    first, *_ = request.seeds
    counted = request.seeds == tuple(range(first, first + len(request.seeds)))
    variants = [f"{one.precision}/{one.runtime}" for one in request.variants]
    return {
        "mode": PICTURES,
        "model": request.model,
        "variants": variants,
        "reference": variants[0],
        **_prompts_form(request.prompts, ""),
        "random": "" if counted else "1",
        "seed": str(first),
        "seeds": str(len(request.seeds)),
        "steps": str(request.steps),
        "guidance": f"{request.guidance:g}",
        "width": str(request.width),
        "height": str(request.height),
        "negative": request.negative_prompt,
        "encode_each": "" if request.share_embeddings else "1",
        "keep_loaded": "1" if request.keep_loaded else "",
    }


def _text_form(request: CompareTextRequest) -> dict[str, Any]:
    servers = [
        f"{one.model}{SEPARATOR}{SIMULATED if one.simulated else one.kind}"
        for one in request.variants
    ]
    sampling = request.sampling
    told = {
        "temperature": sampling.temperature,
        "max_tokens": sampling.max_tokens,
        "text_seed": sampling.seed,
    }
    return {
        "mode": TEXT,
        "base": request.variants[0].model,
        "servers": servers,
        "text_reference": servers[0],
        **_prompts_form(request.prompts, "text_"),
        "system": request.system,
        "together": "1" if request.together else "",
        **{name: "" if value is None else str(value) for name, value in told.items()},
    }


def _prompts_form(prompts: tuple[str, ...], before: str) -> dict[str, Any]:
    """In the field where they fit in one, line by line; else as a file of theirs."""
    if all("\n" not in prompt for prompt in prompts):
        return {f"{before}source": WRITTEN, f"{before}written": "\n".join(prompts)}
    return {f"{before}source": FILE, f"{before}own": list(prompts), f"{before}own_name": ""}


def whole(name: str, value: str, usual: int) -> int:
    """Raises StudioError INVALID_REQUEST."""
    told = value.strip()
    if not told:
        return usual
    if not told.isdecimal() or len(told) > MOST_DIGITS:
        raise _needs("whole", name)
    return int(told)


def number(name: str, value: str, usual: float) -> float:
    """Raises StudioError INVALID_REQUEST."""
    if not value.strip():
        return usual
    try:
        return float(value)
    except ValueError as error:
        raise _needs("number", name) from error


def _needs(kind: str, name: str) -> StudioError:
    problem = text(f"page.problem.{kind}", field=text(f"page.compare.field.{name}"))
    return StudioError(Code.INVALID_REQUEST, problem=problem)
