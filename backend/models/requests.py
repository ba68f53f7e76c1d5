"""Is a request for pictures possible? If not, why, and what is."""

from backend.contracts import GenerateRequest, ImageLimits, Model, VariantState
from backend.errors import Code, StudioError
from backend.language import Value
from backend.models.catalog import Entry, variant_key

MAX_SEED = 2**32 - 1


def check_request(request: GenerateRequest, model: Model, entry: Entry) -> None:
    """Raises the StudioError that says what is wrong with a request, if anything is."""
    check_prompt(request.prompt, entry)
    check_negative_prompt(request, entry)
    check_numbers(request, model.limits)
    variant = next(
        (
            variant
            for variant in model.variants
            if (variant.precision, variant.runtime) == (request.precision, request.runtime)
        ),
        None,
    )
    if variant is None:
        raise StudioError(
            Code.VARIANT_UNKNOWN,
            model=model.id,
            precision=str(request.precision),
            runtime=str(request.runtime),
        )
    if variant.state is not VariantState.READY:
        raise StudioError(
            Code.VARIANT_UNAVAILABLE,
            variant=variant_key(model.id, variant.precision, variant.runtime),
            reason=variant.reason,
        )


def check_prompt(prompt: str, entry: Entry) -> None:
    if not prompt.strip():
        raise StudioError(Code.PROMPT_EMPTY)
    _check_text(prompt, entry)


def check_negative_prompt(request: GenerateRequest, entry: Entry) -> None:
    if not request.negative_prompt:
        return
    if not entry.limits.takes_negative_prompt:
        raise StudioError(Code.NEGATIVE_PROMPT_UNSUPPORTED, model=entry.id)
    if request.guidance <= 1:
        raise StudioError(Code.NEGATIVE_PROMPT_UNGUIDED, value=request.guidance)
    _check_text(request.negative_prompt, entry)


def _check_text(prompt: str, entry: Entry) -> None:
    limits = entry.limits
    if not _is_text(prompt):
        problem = "the prompt holds characters that no text can hold"
        raise StudioError(Code.INVALID_REQUEST, problem=problem)
    if len(prompt) > limits.max_prompt_characters:
        raise StudioError(
            Code.PROMPT_TOO_LONG, count=len(prompt), limit=limits.max_prompt_characters
        )
    if entry.settings_folder is None or entry.problem:
        return
    tokens = entry.family.count_prompt_tokens(entry.settings_folder, prompt)
    if tokens > limits.max_prompt_tokens:
        raise StudioError(Code.PROMPT_TOO_MANY_TOKENS, count=tokens, limit=limits.max_prompt_tokens)


def _is_text(prompt: str) -> bool:
    """Whether it can be stored and sent: no NUL, no half of a surrogate pair."""
    try:
        prompt.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in prompt


def check_numbers(request: GenerateRequest, limits: ImageLimits) -> None:
    size: dict[str, Value] = {"width": request.width, "height": request.height}
    sides = (request.width, request.height)
    nearest: dict[str, Value] = {
        f"near_{name}": _nearest(value, limits.multiple, limits.min_side, limits.max_side)
        for name, value in (("width", request.width), ("height", request.height))
    }
    if not all(limits.min_side <= side <= limits.max_side for side in sides):
        bounds: dict[str, Value] = {"min_side": limits.min_side, "max_side": limits.max_side}
        raise StudioError(Code.SIZE_OUT_OF_RANGE, **size, **bounds, **nearest)
    if any(side % limits.multiple for side in sides):
        raise StudioError(Code.SIZE_NOT_MULTIPLE, **size, multiple=limits.multiple, **nearest)
    ranges: tuple[tuple[Code, float, float, float, dict[str, Value]], ...] = (
        (
            Code.STEPS_OUT_OF_RANGE,
            request.steps,
            1,
            limits.max_steps,
            {"default": limits.default_steps},
        ),
        (
            Code.GUIDANCE_OUT_OF_RANGE,
            request.guidance,
            0,
            limits.max_guidance,
            {"default": limits.default_guidance},
        ),
        (Code.SEED_OUT_OF_RANGE, request.seed, 0, MAX_SEED, {}),
        (Code.COUNT_OUT_OF_RANGE, request.count, 1, limits.max_count, {}),
    )
    for code, value, low, high, more in ranges:
        if not low <= value <= high:
            raise StudioError(code, value=value, limit=high, **more)


def _nearest(value: int, multiple: int, low: int, high: int) -> int:
    return min(max(round(value / multiple) * multiple, low), high)
