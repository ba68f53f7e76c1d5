"""The server that the studio's owner runs elsewhere. Its address is a setting and nothing else, so
that no visitor can have the studio ask an address of their choice."""

from backend.chat.client.answer import open_client
from backend.chat.client.failures import explain
from backend.contracts import Endpoint, ServerKind
from backend.errors import Code, StudioError
from backend.language import text
from backend.settings import Settings

LIST_S = 10.0


async def outside_endpoint(settings: Settings) -> Endpoint:
    """That server, once it has listed its models.

    Raises StudioError SERVER_NOT_FOUND (none is set), SERVER_UNREACHABLE, SERVER_KEY_REFUSED,
    NOT_A_SERVER, SERVED_MODEL_UNKNOWN.
    """
    if not settings.chat_url:
        reason = text("server.no_url")
        raise StudioError(Code.SERVER_NOT_FOUND, server="OpenAI API", reason=reason)
    url = settings.chat_url.rstrip("/").removesuffix("/v1")
    wanted = settings.chat_model
    endpoint = Endpoint(
        kind=ServerKind.OUTSIDE,
        url=url,
        model_id=wanted,
        model=wanted,
        takes_images=settings.chat_images,
    )
    listed = await _listed(endpoint, settings.chat_key.get_secret_value())
    if wanted and wanted not in listed:
        raise StudioError(
            Code.SERVED_MODEL_UNKNOWN, ", ".join(listed[:20]), server=url, model=wanted
        )
    model = wanted or listed[0]
    return endpoint.model_copy(update={"model_id": model, "model": model})


async def _listed(endpoint: Endpoint, key: str) -> list[str]:
    import openai

    async with open_client(endpoint, key) as client:
        try:
            answer = await client.get("/models", cast_to=object, options={"timeout": LIST_S})
        except openai.OpenAIError as error:
            info = explain(error, endpoint, begun=False)
            raise StudioError(info.code, info.detail, **info.values) from error
    models = answer.get("data") if isinstance(answer, dict) else None
    names = [each.get("id") for each in models or () if isinstance(each, dict)]
    named = [name for name in names if isinstance(name, str)]
    if not named:
        raise StudioError(Code.NOT_A_SERVER, server=endpoint.url)
    return named
