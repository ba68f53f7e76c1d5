"""Quantising language models: `Studio.quantize`."""

import time
from functools import cache
from pathlib import Path

from backend.chat.fetch import is_repository
from backend.chat.servers.house import this_machine
from backend.chat.servers.kinds import device
from backend.chat.servers.suitable import Machine
from backend.contracts import (
    CalibrationPreview,
    DatasetRequest,
    Fit,
    JobKind,
    KvChoice,
    QuantizePlan,
    QuantizeRequest,
    RecipeChoice,
    SourceFacts,
)
from backend.errors import Code, StudioError
from backend.hardware import memory
from backend.hardware.gpu import list_gpus
from backend.jobs.children import run_child
from backend.language import text
from backend.quantize.language.choices import (
    Here,
    check_possible,
    kv_choices,
    recipe_choices,
)
from backend.quantize.language.datasets import check_installed, is_installed, unreadable
from backend.quantize.language.facts import Asked, ask_hub, find_facts, offered
from backend.quantize.language.needs import memory_bytes
from backend.quantize.language.order import (
    Source,
    check_target,
    make_order,
    read_source,
    target_of,
)
from backend.quantize.language.plan import plan_quantisation, what_fits
from backend.quantize.language.recipes import find_kv_recipe, find_recipe, needs_text
from backend.quantize.language.texts import (
    BUILT_IN,
    chosen_rows,
    find_rows,
    keep_rows,
    parse_rows,
    preview,
    read_rows,
)
from backend.studio.desk import Desk

WORK_BYTES = 1 << 20
"""Of weights that make one unit of a job's work."""
MOST_ASKED = 32
DATASET_S = 120.0
FRESH_S = 30.0


class Quantize:
    """Raises StudioError TOO_MANY_WAITING from what queues a job, QUANTIZE_NOT_ALLOWED from what
    names a folder of the server from elsewhere."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._asked: dict[str, Asked] = {}
        """What the hub said, by repository, the newest last."""
        self._looked: tuple[float, Machine | None] = (0.0, None)

    def offered(self) -> tuple[SourceFacts, ...]:
        """Models to begin with, those of this machine with what is known of them."""
        return offered(self._desk.settings)

    def facts(self, model: str, owner: str | None) -> SourceFacts:
        """What is known of a model; of a repository that is not here, what the hub said when it was
        asked.

        Raises StudioError CHAT_MODEL_NOT_FOUND, ARCHITECTURE_UNSUPPORTED, MODEL_FILES_CORRUPTED.
        """
        self._check_place(model, owner)
        asked = self._asked.get(model)
        try:
            here = find_facts(self._desk.settings, model)
        except StudioError as error:
            if error.code is not Code.CHAT_MODEL_NOT_FOUND or not is_repository(model):
                raise
            return asked.facts if asked else SourceFacts(name=model, here=False, asked=False)
        if asked is None:
            return here
        told = {"asked": True, "licence": asked.facts.licence, "gated": asked.facts.gated}
        return here.model_copy(update=told)

    def ask_hub(self, model: str, owner: str | None) -> SourceFacts:
        """Ask the hub about a repository; what it said is remembered while this studio runs.

        Raises StudioError HUB_REPO_NOT_FOUND, HUB_TOKEN_MISSING, HUB_TOKEN_INVALID,
        HUB_UNREACHABLE, HUB_OFFLINE_INCOMPLETE, and what `facts` raises.
        """
        self._check_place(model, owner)
        self._ask(model)
        return self.facts(model, owner)

    def recipes(
        self,
        model: str | None,
        owner: str | None,
        kv_cache: str = "none",
        leave_out: tuple[str, ...] = (),
    ) -> tuple[RecipeChoice, ...]:
        """Every recipe, with its size for `model` where one is named and known.

        Raises StudioError CHAT_MODEL_NOT_FOUND, ARCHITECTURE_UNSUPPORTED, MODEL_FILES_CORRUPTED,
        QUANTIZE_ALREADY_QUANTIZED, QUANTIZE_MODEL_UNSUPPORTED, QUANTIZE_WEIGHTS_MISSING,
        QUANTIZE_WEIGHTS_PICKLED.
        """
        self._check_place(model, owner)
        source = self._source(model) if model is not None else None
        return recipe_choices(source, self._here(), find_kv_recipe(kv_cache), leave_out)

    def kv_caches(self) -> tuple[KvChoice, ...]:
        """Every way to keep keys and values, those that are not offered with why."""
        return kv_choices()

    def needs_text(self, recipe: str, kv_cache: str, searched: bool) -> bool:
        """Whether anything is calibrated; `searched` is with `effective_bits`. Raises StudioError
        QUANTIZE_RECIPE_UNKNOWN, QUANTIZE_RECIPE_UNAVAILABLE."""
        return needs_text(find_recipe(recipe), find_kv_recipe(kv_cache), searched)

    def texts(self) -> tuple[CalibrationPreview, ...]:
        """The texts to calibrate on that come with the studio."""
        return tuple(map(_built_in, BUILT_IN))

    def text(self, name: str) -> CalibrationPreview:
        """A text of the studio, or one that was kept. Raises StudioError
        CALIBRATION_TEXT_UNREADABLE."""
        return preview(name, find_rows(self._desk.settings.home, name))

    def plan(self, request: QuantizeRequest, owner: str | None, ask: bool = True) -> QuantizePlan:
        """What a job would do and what is in its way. Where the model is not here the hub is asked,
        unless `ask` says that what it said before is enough."""
        self._check_request(request, owner)
        model = request.model
        return plan_quantisation(
            self._desk.settings,
            request,
            self._here(),
            lambda: self._ask(model) if ask else self._asked.get(model),
            [seconds for _, seconds in self._desk.store.durations(_variant(request))],
        )

    def fits(self, request: QuantizeRequest, owner: str | None) -> tuple[Fit, ...]:
        """What needs less memory than a request that failed for want of it, and is allowed here.
        Raises what `quantize` raises of the model and the recipe."""
        self._check_request(request, owner)
        here = self._here()
        order = make_order(self._desk.settings, request)
        return what_fits(order, here, min(here.budget_bytes, memory_bytes(order, here.place) - 1))

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

    def reads_datasets(self) -> bool:
        """Whether the optional part for data sets of the hub is installed."""
        return is_installed()

    def take_dataset(self, request: DatasetRequest) -> CalibrationPreview:
        """Take rows of a data set of the hub and keep them as a text; within two minutes.

        Raises StudioError DATASETS_MISSING, DATASET_UNREADABLE.
        """
        check_installed()
        home = self._desk.settings.home
        deadline = time.monotonic() + DATASET_S

        def check() -> None:
            if time.monotonic() > deadline:
                problem = text("quantize.problem.slow", limit_s=DATASET_S)
                raise unreadable(request.dataset, problem)

        arguments = request.model_dump() | {"home": str(home)}
        module = "backend.quantize.language.datasets"
        found = run_child(module, arguments, lambda _: None, check)
        return preview(found["text"], find_rows(home, found["text"]))

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
        return self._desk.submit(
            JobKind.QUANTIZE, owner, request.model, _variant(request), request, work
        )

    def _ask(self, model: str) -> Asked:
        asked = ask_hub(model)
        self._asked.pop(model, None)
        self._asked[model] = asked
        for oldest in list(self._asked)[:-MOST_ASKED]:
            del self._asked[oldest]
        return asked

    def _source(self, model: str) -> Source | None:
        """None for a repository that is neither here nor known from the hub."""
        try:
            return read_source(self._desk.settings, model)
        except StudioError as error:
            if error.code is not Code.CHAT_MODEL_NOT_FOUND or not is_repository(model):
                raise
        asked = self._asked.get(model)
        return asked.source if asked else None

    def _here(self) -> Here:
        gpus = list_gpus()
        return Here(
            cuda=gpus[0].name if gpus and device() == "cuda" else None,
            machine=self._machine(),
            memory=memory.sample(),
            budget_bytes=self._budget(),
        )

    def _machine(self) -> Machine:
        """Which servers there are does not change from one look at the page to the next."""
        looked_at, machine = self._looked
        if machine is None or time.monotonic() - looked_at > FRESH_S:
            machine = this_machine(self._desk.settings)
            self._looked = (time.monotonic(), machine)
        return machine

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


@cache
def _built_in(name: str) -> CalibrationPreview:
    return preview(name, read_rows(BUILT_IN[name]))


def _variant(request: QuantizeRequest) -> str:
    return f"{Path(request.model).name}/{request.recipe}"[:200]
