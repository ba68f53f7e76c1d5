"""Pictures as a worker makes them, in the test's own process."""

import threading
from dataclasses import dataclass

import numpy as np
from PIL import Image
from sqlalchemy import create_engine

from backend.contracts import GenerateRequest, GenerateResult, JobEvent, JobKind
from backend.images.generate import generate
from backend.jobs.context import JobContext
from backend.jobs.store import Store, new_job
from backend.models.pool import ModelPool
from backend.settings import Settings, TextEncoders
from tests.support import OWNER


@dataclass
class Painted:
    result: GenerateResult
    loaded: list[str]
    """What was loaded for it: `whole`, `encoders` or `painter`, in order."""
    pixels: np.ndarray


class Painter:
    def __init__(
        self, settings: Settings, budget_bytes: int, policy: TextEncoders = "auto"
    ) -> None:
        self.pool = ModelPool(budget_bytes, lambda: 0, lambda: None)
        self._settings = settings.model_copy(update={"text_encoders": policy})

    def paint(self, asked: GenerateRequest) -> Painted:
        events: list[JobEvent] = []
        request = asked.model_dump(mode="json")
        row = new_job(JobKind.GENERATE, "interactive", 0, OWNER, "", "", request, 1.0)
        store = Store(create_engine("sqlite://"))
        context = JobContext(row, store, events.append, threading.Event())
        made = GenerateResult.model_validate(generate(context, self._settings, self.pool))
        loads = [event.message.key for event in events if event.message]
        names = [key.removeprefix("job.loading") for key in loads if key.startswith("job.loading")]
        pixels = np.asarray(Image.open(made.images[0].path))
        return Painted(made, [name.removeprefix("_") or "whole" for name in names], pixels)
