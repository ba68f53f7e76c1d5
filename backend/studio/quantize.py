"""Quantising language models: `Studio.quantize`."""

from pathlib import Path

from backend.chat.fetch import is_repository
from backend.chat.servers.house import this_machine
from backend.chat.servers.kinds import device
from backend.contracts import (
    CalibrationPreview,
    JobKind,
    KvChoice,
    QuantizePlan,
    QuantizeRequest,
    RecipeChoice,
)
from backend.errors import Code, StudioError
from backend.hardware import memory
from backend.hardware.gpu import list_gpus
from backend.quantize.language.choices import (
    Here,
    check_possible,
    kv_choices,
    plan_quantisation,
    recipe_choices,
)
from backend.quantize.language.order import check_target, make_order, read_source, target_of
from backend.quantize.language.recipes import find_kv_recipe, find_recipe
from backend.quantize.language.texts import (
    BUILT_IN,
    chosen_rows,
    find_rows,
    keep_rows,
    parse_rows,
    preview,
)
from backend.studio.desk import Desk

WORK_BYTES = 1 << 20
"""Of weights that make one unit of a job's work."""


class Quantize:
    """Raises StudioError TOO_MANY_WAITING from what queues a job, QUANTIZE_NOT_ALLOWED from what
    names a folder of the server from elsewhere."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def recipes(self, model: str | None, owner: str | None) -> tuple[RecipeChoice, ...]:
        """Every recipe, with its size for `model` where one is named.

        Raises StudioError CHAT_MODEL_NOT_FOUND, ARCHITECTURE_UNSUPPORTED, MODEL_FILES_CORRUPTED,
        QUANTIZE_ALREADY_QUANTIZED, QUANTIZE_MODEL_UNSUPPORTED, QUANTIZE_WEIGHTS_MISSING,
        QUANTIZE_WEIGHTS_PICKLED.
        """
        self._check_place(model, owner)
        source = read_source(self._desk.settings, model) if model is not None else None
        return recipe_choices(source, self._here())

    def kv_caches(self) -> tuple[KvChoice, ...]:
        """Every way to keep keys and values, those that are not offered with why."""
        return kv_choices()

    def texts(self) -> tuple[CalibrationPreview, ...]:
        """The texts to calibrate on that come with the studio."""
        home = self._desk.settings.home
        return tuple(preview(name, find_rows(home, name)) for name in BUILT_IN)

    def plan(self, request: QuantizeRequest, owner: str | None) -> QuantizePlan:
        """What a job would do and what is in its way. Asks the hub where the model is not here."""
        self._check_request(request, owner)
        return plan_quantisation(self._desk.settings, request, self._here())

    def preview_text(self, data: bytes, name: str) -> CalibrationPreview:
        """What a file holds, kept for a job to come: its `name` is what a request calls it.

        Raises StudioError CALIBRATION_TEXT_UNREADABLE, HOME_NOT_WRITABLE.
        """
        rows = parse_rows(data, name)
        home = self._desk.settings.home
        try:
            digest = keep_rows(home, rows)
        except OSError as error:
            raise StudioError(Code.HOME_NOT_WRITABLE, repr(error), path=str(home)) from error
        return preview(digest, rows)

    def quantize(self, request: QuantizeRequest, owner: str | None) -> str:
        """Queue the quantising of a model, and first the fetching of a repository that is not
        here; the job's id, whose result is a QuantizeResult.

        Raises what `recipes` raises, QUANTIZE_RECIPE_UNKNOWN, QUANTIZE_RECIPE_UNAVAILABLE,
        QUANTIZE_NOTHING_LEFT, RECIPE_INVALID, CALIBRATION_TEXT_UNREADABLE, EVALUATION_OVERLAPS,
        CHECKPOINT_EXISTS, FOLDER_NOT_WRITABLE.
        """
        self._check_request(request, owner)
        settings = self._desk.settings
        find_kv_recipe(request.kv_cache)
        check_possible(find_recipe(request.recipe), request, device() == "cuda")
        chosen_rows(settings.home, request.calibration, request.evaluation)
        work = 1.0
        try:
            work = max(make_order(settings, request).size.source / WORK_BYTES, 1.0)
        except StudioError as error:
            absent = error.code is Code.CHAT_MODEL_NOT_FOUND and is_repository(request.model)
            if not absent:
                raise
        check_target(target_of(settings, request), request.replace)
        variant = f"{Path(request.model).name}/{request.recipe}"[:200]
        return self._desk.submit(JobKind.QUANTIZE, owner, request.model, variant, request, work)

    def _here(self) -> Here:
        gpus = list_gpus()
        return Here(
            cuda=gpus[0].name if gpus and device() == "cuda" else None,
            machine=this_machine(self._desk.settings),
            memory=memory.sample(),
            budget_bytes=self._budget(),
        )

    def _budget(self) -> int:
        """The largest of a worker that is alive, else all memory."""
        budgets = [each.budget_bytes for each in self._desk.store.workers() if each.alive]
        return max(budgets, default=memory.sample().total_bytes)

    def _check_request(self, request: QuantizeRequest, owner: str | None) -> None:
        self._check_place(request.model, owner)
        self._check_place(request.out, owner)

    def _check_place(self, path: str | None, owner: str | None) -> None:
        """Folders may be named by who sits at this machine: at its command line, or on the page of
        a studio that is not open to the network."""
        anywhere = owner is None or self._desk.settings.auth is None
        if path is None or anywhere:
            return
        if Path(path).expanduser().is_absolute() or ".." in Path(path).parts:
            raise StudioError(Code.QUANTIZE_NOT_ALLOWED, path=path[:200])
