"""Whether a comparison of answers is possible, known before it is queued."""

from typing import Any

from backend.chat.client.capabilities import TITLES, check_request
from backend.chat.client.exchange import question
from backend.chat.fetch import is_repository
from backend.chat.models import find_language_model
from backend.chat.servers.house import plan_of
from backend.chat.servers.plan import key_of
from backend.chat.simulation import check_simulation, simulated_folder
from backend.compare.prompts import distinct
from backend.contracts import CompareTextRequest, Endpoint, ServeRequest, ServerKind, TextVariant
from backend.errors import Code, StudioError
from backend.language import text
from backend.settings import Settings

LEAST_VARIANTS, MOST_VARIANTS = 2, 4
MAX_ANSWERS = 400
"""Of all variants together."""


def settled(request: CompareTextRequest) -> CompareTextRequest:
    """The request without empty prompts, and each prompt once."""
    return request.model_copy(update={"prompts": distinct(request.prompts)})


def check(settings: Settings, request: CompareTextRequest) -> None:
    """Raises StudioError COMPARE_VARIANTS_COUNT, COMPARE_QUESTIONS_EMPTY, COMPARE_TOO_MANY_ANSWERS,
    and what `check_variant` and `check_request` raise."""
    count = len({_key(settings, variant) for variant in request.variants})
    if count != len(request.variants) or not LEAST_VARIANTS <= count <= MOST_VARIANTS:
        raise StudioError(
            Code.COMPARE_VARIANTS_COUNT,
            count=len(request.variants),
            least=LEAST_VARIANTS,
            most=MOST_VARIANTS,
        )
    if not request.prompts:
        raise StudioError(Code.COMPARE_QUESTIONS_EMPTY)
    answers = count * len(request.prompts)
    if answers > MAX_ANSWERS:
        raise StudioError(Code.COMPARE_TOO_MANY_ANSWERS, count=answers, limit=MAX_ANSWERS)
    for variant in request.variants:
        check_variant(settings, variant)
        asked = Endpoint(kind=variant.kind, url="", model_id=variant.model, model=variant.model)
        for prompt in request.prompts:
            check_request(question(prompt, request.sampling, True, request.system), asked)


def check_variant(settings: Settings, variant: TextVariant) -> None:
    """Raises StudioError CHAT_MODEL_NOT_FOUND, ARCHITECTURE_UNSUPPORTED, MODEL_FILES_CORRUPTED,
    CHECKPOINT_NOT_READABLE, SERVER_NOT_FOUND, SERVER_UNSUITABLE, INVALID_REQUEST."""
    if variant.kind is ServerKind.OUTSIDE:
        _check_outside(settings, variant)
        return
    try:
        model = find_language_model(settings, variant.model)
        if variant.simulated:
            check_simulation(model)
        else:
            plan_of(settings, serving(variant))
    except StudioError as error:
        if error.code is not Code.CHAT_MODEL_NOT_FOUND or not is_repository(variant.model):
            raise


def serving(variant: TextVariant, **changes: Any) -> ServeRequest:
    request = ServeRequest(model=variant.model, kind=variant.kind, simulated=variant.simulated)
    return request.model_copy(update=changes)


def _check_outside(settings: Settings, variant: TextVariant) -> None:
    if not settings.chat_url:
        title = TITLES[variant.kind]
        raise StudioError(Code.SERVER_NOT_FOUND, server=title, reason=text("server.no_url"))
    if variant.simulated:
        problem = "what runs elsewhere is not simulated here"
        raise StudioError(Code.INVALID_REQUEST, problem=problem)


def _key(settings: Settings, variant: TextVariant) -> str:
    """Of its server: two names of one model would be asked twice, and compared with themselves."""
    if variant.kind is ServerKind.OUTSIDE:
        return variant.kind
    try:
        model = find_language_model(settings, variant.model)
    except StudioError:
        return key_of(f"{variant.model}/{variant.simulated}", variant.kind)
    name = simulated_folder(settings, model).name if variant.simulated else model.name
    return key_of(name, variant.kind)
