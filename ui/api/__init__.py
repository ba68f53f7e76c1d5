"""The public API: typed functions for `gradio_client` and plain HTTP, in English.

An error reaches the client as `CODE: message hint`.
"""

from typing import TYPE_CHECKING, Any

from gradio.events import api

from ui.access import FileKeys
from ui.api.chat import chat_endpoints
from ui.api.compare import compare_endpoints
from ui.api.engines import engine_endpoints
from ui.api.follow import follower
from ui.api.jobs import job_endpoints
from ui.api.machine import machine_endpoints
from ui.api.networks import network_endpoints
from ui.api.pictures import picture_endpoints
from ui.api.quantize import quantize_endpoints

if TYPE_CHECKING:
    from backend.studio import Studio

WAITING_CALLS = 16


def public_api(studio: "Studio", keys: FileKeys) -> None:
    """Add the API's endpoints to the current Blocks; they are all that its schema shows."""
    follow = follower(studio, keys)
    for followed in (
        *picture_endpoints(studio, follow),
        *engine_endpoints(studio, follow),
        *network_endpoints(studio, follow),
        *chat_endpoints(studio),
        *quantize_endpoints(studio, follow),
        *compare_endpoints(studio, follow),
    ):
        followed.__annotations__["return"] = dict[str, Any]  # of each yield, for the schema
        api(followed, api_name=followed.__name__, concurrency_limit=WAITING_CALLS)
    for answered in (*job_endpoints(studio, keys), *machine_endpoints(studio)):
        api(answered, api_name=answered.__name__, queue=False)
