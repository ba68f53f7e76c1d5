"""A checkpoint put on the hub, in a job. The token is huggingface_hub's own business."""

from pathlib import Path
from typing import Any

from huggingface_hub import get_token, is_offline_mode
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from backend.chat.models import find_language_model
from backend.contracts import PushRequest, PushResult
from backend.errors import Code, StudioError
from backend.jobs.children import run_child
from backend.jobs.context import JobContext
from backend.language import text
from backend.quantize.language.results import Made
from backend.settings import Settings


def check_push(repo: str) -> None:
    """What can be known without asking the hub. Raises StudioError PUSH_NAME_INVALID,
    PUSH_TOKEN_MISSING, PUSH_OFFLINE."""
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise StudioError(Code.PUSH_NAME_INVALID, str(error), repo=repo[:120]) from None
    if repo.count("/") != 1:
        raise StudioError(Code.PUSH_NAME_INVALID, repo=repo[:120])
    if is_offline_mode():
        raise StudioError(Code.PUSH_OFFLINE, repo=repo)
    if not get_token():
        raise StudioError(Code.PUSH_TOKEN_MISSING, repo=repo)


def push(context: JobContext, settings: Settings) -> dict[str, Any]:
    """Raises StudioError CHECKPOINT_MANIFEST_BROKEN and what `upload` raises."""
    request = PushRequest.model_validate(context.row.request)
    made = Made("", Path(request.model), None)
    manifest = made.manifest
    try:
        source = find_language_model(settings, manifest.source).folder
    except StudioError:
        source = None
    context.report("push", message=text("job.pushing", repo=request.repo))
    found = run_child(
        "backend.quantize.language.upload",
        request.model_dump(mode="json") | {"source": source},
        lambda news: context.report("push", news["step"], news["total"]),
        context.check,
    )
    return PushResult.model_validate(found).model_dump(mode="json")
