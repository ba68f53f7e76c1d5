"""Pictures: asked for, alone or after what they lack. `Studio.pictures`."""

import secrets
from pathlib import Path

from backend.contracts import (
    EngineRequest,
    FetchRequest,
    GenerateRequest,
    JobKind,
    Runtime,
    VariantState,
)
from backend.engines.sources import source_of
from backend.engines.variants import check_size
from backend.images.png import read_request
from backend.models.catalog import Entry, find_model, variant_key
from backend.models.requests import (
    MAX_SEED,
    check_negative_prompt,
    check_numbers,
    check_prompt,
    check_request,
)
from backend.studio.desk import Desk
from backend.studio.engines import Engines
from backend.studio.models import Models


def random_seed() -> int:
    return secrets.randbelow(MAX_SEED + 1)


class Pictures:
    """Raises StudioError MODEL_UNKNOWN, and TOO_MANY_WAITING from all that queues a job."""

    def __init__(self, desk: Desk, models: Models, engines: Engines) -> None:
        self._desk = desk
        self._models = models
        self._engines = engines

    def check(self, request: GenerateRequest) -> None:
        """Raise what `generate` would, without queueing anything."""
        entry = find_model(self._desk.settings, request.model)
        engines = self._engines.all()
        check_request(request, self._models.describe(entry, engines), entry)
        if request.runtime is not Runtime.TORCH:
            check_size(request, entry, engines)

    def generate(self, request: GenerateRequest, owner: str | None) -> str:
        """Queue pictures; the job's id.

        Raises StudioError VARIANT_*, PROMPT_*, SIZE_*, *_OUT_OF_RANGE.
        """
        self.check(request)
        return self._submit(request, owner)

    def prepare_then_generate(self, request: GenerateRequest, owner: str | None) -> str:
        """Queue what the request's variant lacks, files or engines, and the pictures after it; the
        id of the pictures' job. They fail with PREPARATION_FAILED when the first does not succeed.

        Raises what `generate`, `Models.fetch` and `Engines.build` raise; VARIANT_UNAVAILABLE where
        neither would help.
        """
        entry = find_model(self._desk.settings, request.model)
        model = self._models.describe(entry, self._engines.all())
        standing = {(v.precision, v.runtime): v.state for v in model.variants}
        state = standing.get((request.precision, request.runtime))
        if state not in (VariantState.BUILDABLE, VariantState.DOWNLOADABLE):
            return self.generate(request, owner)
        check_prompt(request.prompt, entry)
        check_negative_prompt(request, entry)
        check_numbers(request, model.limits)
        first = (
            self._fetch_or_follow(FetchRequest(model=entry.id), owner)
            if request.runtime is Runtime.TORCH
            else self._build_or_follow(request, entry, owner)
        )
        return self._submit(request, owner, after=first)

    def owner_of_file(self, file: Path) -> str | None:
        """Whose job a file below `outputs/` or `previews/` belongs to; None for any other file."""
        resolved = file.resolve()
        for root in (self._desk.settings.outputs, self._desk.settings.previews):
            if resolved.is_relative_to(root.resolve()) and resolved != root.resolve():
                row = self._desk.store.find(resolved.relative_to(root.resolve()).parts[0])
                return row.owner if row else None
        return None

    def settings_of(self, file: Path) -> GenerateRequest:
        """The request a PNG was made from. Raises StudioError IMAGE_UNREADABLE,
        IMAGE_WITHOUT_SETTINGS."""
        return read_request(file)

    def _submit(self, request: GenerateRequest, owner: str | None, after: str | None = None) -> str:
        work = request.count * request.steps * request.width * request.height / 1024**2
        key = variant_key(request.model, request.precision, request.runtime)
        return self._desk.submit(
            JobKind.GENERATE, owner, request.prompt, key, request, work, after=after
        )

    def _fetch_or_follow(self, request: FetchRequest, owner: str | None) -> str:
        running = self._desk.live_job(JobKind.FETCH, request, owner)
        return running or self._models.fetch(request, owner)

    def _build_or_follow(self, pictures: GenerateRequest, entry: Entry, owner: str | None) -> str:
        request = EngineRequest(
            model=entry.id, precision=pictures.precision, runtime=pictures.runtime
        )
        request = request.model_copy(update={"source": source_of(request, entry)})
        running = self._desk.live_job(JobKind.ENGINE, request, owner)
        return running or self._engines.build(request, owner)
