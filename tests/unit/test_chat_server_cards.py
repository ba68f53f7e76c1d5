"""Which card stands for which server and job."""

import re

import pytest

from backend.contracts import (
    Endpoint,
    JobKind,
    JobSnapshot,
    JobState,
    ServerKind,
    ServerPhase,
    ServerStatus,
)
from backend.errors import Code, ErrorInfo
from ui.parts.server_card import server_cards

NAME = "<b>tiny</b>"
KEY = f"{NAME}/transformers"
REASON = ErrorInfo(code=Code.SERVER_START_FAILED, values={"problem": "x"}, detail="<i>log</i>")


def server(phase: ServerPhase, **changes: object) -> ServerStatus:
    endpoint = Endpoint(
        kind=ServerKind.TRANSFORMERS,
        url="http://127.0.0.1:8123",
        model_id=NAME,
        model=NAME,
        precision="FP8 (weights only, simulated)",
    )
    status = ServerStatus(
        key=KEY,
        phase=phase,
        endpoint=endpoint,
        command="",
        pid=1,
        started_at=0,
        log=("<script>alert(1)</script>",),
        estimate_bytes=2**30,
        memory=((0.0, 0), (1.0, 2**29), (2.0, 2**30)),
        error=REASON if phase is ServerPhase.FAILED else None,
    )
    return status.model_copy(update=changes)


def job(state: JobState, model: str = NAME, simulated: bool = False) -> JobSnapshot:
    return JobSnapshot(
        id="job-1",
        kind=JobKind.SERVE,
        state=state,
        title=model,
        variant=f"{model}/transformers",
        request={"model": model, "kind": "transformers", "simulated": simulated},
        created_at=0,
        retryable=not state.is_live,
        error=REASON if state is JobState.FAILED else None,
    )


def cards(*servers: ServerStatus, jobs: tuple[JobSnapshot, ...] = ()) -> list[str]:
    html = server_cards(servers, jobs, "en", 10.0)
    assert "<script>" not in html and NAME not in html and "<i>log" not in html
    return html.split("<article ")[1:]


def actions(card: str) -> list[str]:
    return re.findall(r'data-action="([\w-]+)"', card)


def test_who_starts_a_server_may_cancel_and_all_may_stop_it() -> None:
    starting = server(ServerPhase.LOADING)
    (mine,) = cards(starting, jobs=(job(JobState.RUNNING),))
    assert actions(mine) == ["cancel"] and "s-steps" in mine
    (other,) = cards(starting)
    assert actions(other) == ["server-stop"] and "data-confirm" in other
    assert "s-steps" not in other and "8123" in other


@pytest.mark.parametrize("model", ["/somewhere/<b>tiny<!-- -->", NAME])
def test_a_start_that_has_no_server_yet_has_a_card_of_its_own(model: str) -> None:
    ready = server(ServerPhase.READY)
    running, waiting = cards(ready, jobs=(job(JobState.QUEUED, model),))
    assert actions(running) == ["server-stop"] and actions(waiting) == ["cancel"]
    _, refused = cards(ready, jobs=(job(JobState.FAILED, model),))
    assert actions(refused)[0] == "delete" and "SERVER_START_FAILED" in refused


def test_what_failed_is_one_card_and_makes_room_for_the_next_try() -> None:
    failed = server(ServerPhase.FAILED)
    (card,) = cards(failed, jobs=(job(JobState.FAILED),))
    assert actions(card) == ["server-stop", "retry", "copy"]
    assert 'data-job="job-1"' in card
    (card,) = cards(failed, jobs=(job(JobState.QUEUED),))
    assert actions(card) == ["cancel"] and "SERVER_START_FAILED" not in card


def test_a_simulation_belongs_to_the_start_of_its_checkpoint_and_says_what_it_is() -> None:
    made = server(ServerPhase.WARMING)
    endpoint = made.endpoint.model_copy(
        update={"model": "maker--tiny-simulated-0a", "simulated": True}
    )
    made = made.model_copy(update={"key": "maker--tiny-simulated-0a/transformers"})
    made = made.model_copy(update={"endpoint": endpoint})
    (card,) = cards(made, jobs=(job(JobState.RUNNING, "maker/tiny", simulated=True),))
    assert "weights only, simulated" in card and ">maker--tiny<" in card
    assert len(cards(made, jobs=(job(JobState.RUNNING, "maker/tiny"),))) == 2


def test_the_curve_reaches_from_nothing_to_what_is_set_aside() -> None:
    (card,) = cards(server(ServerPhase.READY))
    assert 'points="0,31.0 80,16.0 160,1.0"' in card
    assert 'y1="1.0"' in card
    (card,) = cards(server(ServerPhase.READY, memory=()))
    assert '<svg class="v-curve"' not in card
