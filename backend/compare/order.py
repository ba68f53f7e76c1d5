"""A request to compare pictures: whether it is possible, and what is painted in which order."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from backend.compare.prompts import distinct
from backend.contracts import (
    ComparedState,
    CompareRequest,
    CompareVariant,
    Engine,
    GenerateRequest,
    Model,
    PictureReport,
    Runtime,
    VariantState,
)
from backend.engines.variants import check_size
from backend.errors import Code, StudioError
from backend.models.catalog import Entry, variant_key
from backend.models.requests import check_numbers, check_prompt, check_request

MAX_PICTURES = 600
"""Of all variants together."""
LEAST_VARIANTS, MOST_VARIANTS = 2, 6


@dataclass(frozen=True)
class Place:
    """Of a picture: its variant, prompt and seed as places in the request."""

    variant: int
    prompt: int
    seed: int

    @property
    def file(self) -> str:
        return f"v{self.variant}-p{self.prompt}-s{self.seed}.png"


def settled(request: CompareRequest) -> CompareRequest:
    """The request without empty prompts, and each prompt and seed once."""
    seeds = tuple(dict.fromkeys(request.seeds))
    return request.model_copy(update={"prompts": distinct(request.prompts), "seeds": seeds})


def check(request: CompareRequest, entry: Entry, model: Model, engines: Iterable[Engine]) -> None:
    """Raises StudioError COMPARE_VARIANTS_COUNT, COMPARE_PROMPTS_EMPTY, COMPARE_TOO_MANY_PICTURES,
    VARIANT_UNKNOWN, VARIANT_UNAVAILABLE, PROMPT_*, NEGATIVE_PROMPT_*, SIZE_*, *_OUT_OF_RANGE."""
    count = len(request.variants)
    if len(set(request.variants)) != count or not LEAST_VARIANTS <= count <= MOST_VARIANTS:
        raise StudioError(
            Code.COMPARE_VARIANTS_COUNT, count=count, least=LEAST_VARIANTS, most=MOST_VARIANTS
        )
    if not request.prompts or not request.seeds:
        raise StudioError(Code.COMPARE_PROMPTS_EMPTY)
    pictures = count * len(request.prompts) * len(request.seeds)
    if pictures > MAX_PICTURES:
        raise StudioError(Code.COMPARE_TOO_MANY_PICTURES, count=pictures, limit=MAX_PICTURES)
    known = list(engines)
    for index, variant in enumerate(request.variants):
        one = picture_request(request, Place(index, 0, 0))
        check_request(one, model, entry)
        if variant.runtime is not Runtime.TORCH:
            check_size(one, entry, known)
    for prompt in request.prompts[1:]:
        check_prompt(prompt, entry)
    for index in range(1, len(request.seeds)):
        check_numbers(picture_request(request, Place(0, 0, index)), model.limits)


def find_variant(name: str, model: Model) -> CompareVariant:
    """What `fp8/onnxruntime` means, or `fp8`: that precision's first variant which is ready here.

    Raises StudioError INVALID_REQUEST, VARIANT_UNAVAILABLE where a precision alone is given and no
    variant of it is ready.
    """
    precision, _, runtime = name.strip().lower().partition("/")
    found = [
        one
        for one in model.variants
        if one.precision == precision and (not runtime or one.runtime == runtime)
    ]
    ready = [one for one in found if one.state is VariantState.READY]
    if not found:
        names = ", ".join(f"{one.precision}/{one.runtime}" for one in model.variants)
        problem = f"{model.id} has no variant {name[:80]!r}; it has {names}"
        raise StudioError(Code.INVALID_REQUEST, problem=problem)
    if not ready and not runtime:
        key = f"{model.id}/{precision}"
        raise StudioError(Code.VARIANT_UNAVAILABLE, variant=key, reason=found[0].reason)
    chosen = (ready or found)[0]
    return CompareVariant(precision=chosen.precision, runtime=chosen.runtime)


def picture_request(request: CompareRequest, place: Place) -> GenerateRequest:
    """The request of one picture, as if it were asked for alone."""
    variant = request.variants[place.variant]
    return GenerateRequest(
        model=request.model,
        precision=variant.precision,
        runtime=variant.runtime,
        prompt=request.prompts[place.prompt],
        seed=request.seeds[place.seed],
        steps=request.steps,
        guidance=request.guidance,
        width=request.width,
        height=request.height,
        negative_prompt=request.negative_prompt,
    )


def places_of(request: CompareRequest, variant: int) -> Iterator[Place]:
    """The pictures of a variant: all seeds of a prompt, then the next prompt."""
    for prompt in range(len(request.prompts)):
        for seed in range(len(request.seeds)):
            yield Place(variant, prompt, seed)


def missing(report: PictureReport, variant: int) -> list[Place]:
    """The pictures of a variant that are not painted yet."""
    painted = {Place(one.variant, one.prompt, one.seed) for one in report.pictures}
    return [place for place in places_of(report.request, variant) if place not in painted]


def loading_order(report: PictureReport, resident: Collection[str]) -> list[int]:
    """The variants in the order that loads each once: the one whose text encoders all share, then
    what is in memory already (`resident` has their keys). One that was at work when the worker was
    killed comes last, so that it cannot keep the others from their turn."""
    request = report.request
    encoder = report.reference if report.encoded_by is None else report.encoded_by

    def place(index: int) -> tuple[bool, bool, bool, int]:
        variant = report.variants[index]
        key = variant_key(request.model, variant.precision, variant.runtime)
        encodes = request.share_embeddings and index == encoder
        was_killed = variant.state is ComparedState.RUNNING
        return not encodes, was_killed, key not in resident, index

    return sorted(range(len(request.variants)), key=place)
