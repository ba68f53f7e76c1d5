"""What a variant is called: `demo-chat`, `demo-chat@vllm`, `my-checkpoint@simulated`, `outside`."""

from backend.chat.models import find_language_model
from backend.chat.servers.house import choices_for, this_machine
from backend.contracts import ServerKind, TextVariant
from backend.errors import Code, StudioError
from backend.settings import Settings

SIMULATED = "simulated"


def find_variant(settings: Settings, name: str) -> TextVariant:
    """`MODEL@KIND` of server, `MODEL@simulated` or `MODEL`, which is the first server that can
    serve it here; `outside` is that of the settings.

    Raises StudioError CHAT_MODEL_NOT_FOUND, ARCHITECTURE_UNSUPPORTED, MODEL_FILES_CORRUPTED,
    SERVER_UNSUITABLE.
    """
    model, at, way = name.strip().rpartition("@")
    if at and way == SIMULATED:
        return TextVariant(model=model, kind=ServerKind.TRANSFORMERS, simulated=True)
    if at and way in list(ServerKind):
        return TextVariant(model=model, kind=ServerKind(way))
    model = name.strip()
    if model == ServerKind.OUTSIDE:
        return TextVariant(model="", kind=ServerKind.OUTSIDE)
    return TextVariant(model=model, kind=_first_kind(settings, model))


def _first_kind(settings: Settings, model: str) -> ServerKind:
    found = find_language_model(settings, model)
    choices = choices_for(settings, found, this_machine(settings))
    possible = [choice.kind for choice in choices if choice.possible]
    if not possible:
        last = choices[-1]
        raise StudioError(
            Code.SERVER_UNSUITABLE, server=last.title, model=found.name, reason=last.reason
        )
    return possible[0]
