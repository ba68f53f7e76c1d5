"""The job that compares answers."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from backend.chat.client.capabilities import TITLES
from backend.compare.html import write_html
from backend.compare.machine import this_machine
from backend.compare.report import write_manifest
from backend.compare.text.asking import Asking
from backend.compare.text.ledger import FAILED, WAITING, Ledger, open_ledger
from backend.compare.text.sides import Asked, Side, Worker, at_hand, prepare, room_for_all
from backend.contracts import (
    ComparedAnswer,
    ComparedServer,
    CompareResult,
    CompareTextRequest,
    TextReport,
    TextVariant,
)
from backend.errors import StudioError
from backend.jobs.context import JobCancelled, JobRequeued
from backend.jobs.store import JobRow


def begun(row: JobRow) -> TextReport:
    """The report of a job that nothing was asked for yet."""
    request = CompareTextRequest.model_validate(row.request)
    return TextReport(
        id=row.id,
        title=row.title,
        made_at=time.time(),
        request=request,
        together=request.together,
        machine=this_machine(),
        variants=tuple(map(_blank, request.variants)),
        answers=tuple(
            ComparedAnswer(variant=variant, prompt=prompt, state=WAITING)
            for variant in range(len(request.variants))
            for prompt in range(len(request.prompts))
        ),
    )


def _blank(variant: TextVariant) -> ComparedServer:
    return ComparedServer(
        model=variant.model,
        kind=variant.kind,
        title=TITLES[variant.kind],
        precision="",
        simulated=variant.simulated,
        state=WAITING,
    )


def compare_text(worker: Worker) -> dict[str, Any]:
    """A CompareResult as data. What a server fails of is in its place of the report; answers that
    the job has done before it was killed stay.

    Raises what the first variant failed of where no one has answered anything.
    """
    row = worker.context.row
    folder = worker.settings.outputs / row.id
    folder.mkdir(parents=True, exist_ok=True)
    ledger = open_ledger(folder, begun(row))
    ledger.save()
    try:
        _run(worker, ledger)
    except (JobCancelled, JobRequeued):
        ledger.put_down()
        raise
    ledger.save()
    report = ledger.report()
    write_html(report, folder)
    write_manifest(report, folder)
    errors = [server.error for server in report.variants if server.state is FAILED]
    if len(errors) == len(report.variants) and errors[0] is not None:
        raise StudioError(errors[0].code, errors[0].detail, **errors[0].values)
    return CompareResult(folder=str(folder), rows=report.variants).model_dump(mode="json")


def _run(worker: Worker, ledger: Ledger) -> None:
    request = CompareTextRequest.model_validate(worker.context.row.request)
    sides = [
        side
        for place, variant in enumerate(request.variants)
        if (side := _prepared(worker, ledger, place, variant)) is not None
    ]
    asking = Asking(worker, request, all(side.has_template for side in sides), ledger)
    left = [side for side in sides if ledger.to_ask(side.place)]
    if request.together and _together(worker, ledger, asking, left):
        return
    for side in left:
        with ExitStack() as stack:
            asking.run(_opened(worker, ledger, side, stack))
        ledger.close(side.place)


def _prepared(worker: Worker, ledger: Ledger, place: int, variant: TextVariant) -> Side | None:
    """None where it cannot be served, which the report says then."""
    try:
        side = prepare(worker, place, variant)
    except StudioError as error:
        ledger.give_up(place, error.info)
        return None
    ledger.change_server(place, **side.facts)
    if place == ledger.report().reference and side.plan is not None:
        ledger.use_tokenizer(Path(side.plan.model.folder))
    return side


def _together(worker: Worker, ledger: Ledger, asking: Asking, sides: list[Side]) -> bool:
    """Whether they could be asked at once; else the report says why not."""
    with ExitStack() as stack:
        try:
            held = stack.enter_context(room_for_all(worker, sides))
        except StudioError as error:
            ledger.change(together=False, apart_because=error.info)
            return False
        ledger.change(together=True, apart_because=None)
        asked: list[Asked] = []
        for side in sides:
            memory = held.get(side.plan.key) if side.plan else None
            asked += _opened(worker, ledger, side, stack, memory)
        asking.run(asked)
    for side in sides:
        ledger.close(side.place)
    return True


def _opened(
    worker: Worker,
    ledger: Ledger,
    side: Side,
    stack: ExitStack,
    held: ExitStack | None = None,
) -> list[Asked]:
    """The side, answering until `stack` is closed; none where it does not start, which the report
    says then."""
    try:
        asked = stack.enter_context(at_hand(worker, side, held))
    except StudioError as error:
        ledger.give_up(side.place, error.info)
        return []
    ledger.change_server(side.place, started_here=asked.started_here, ready_s=asked.ready_s)
    return [asked]
