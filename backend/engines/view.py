"""An engine for people to read."""

import json

from backend.contracts import Engine, EngineLayer, EngineView
from backend.engines.cache import LAYERS, folder_of
from backend.settings import Settings


def view_of(settings: Settings, engine: Engine) -> EngineView:
    """The network as it was parsed, kept when the engine was built: the view before fusion.

    Raises StudioError ENGINE_NOT_FOUND.
    """
    file = folder_of(settings, engine.manifest.id) / LAYERS
    layers = tuple(EngineLayer.model_validate(one) for one in json.loads(file.read_text("utf-8")))
    return EngineView(engine=engine, source="network", layers=layers)
