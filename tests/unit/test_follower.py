import threading

from backend.contracts import ImageResult, JobEvent, JobKind, JobSnapshot, JobState
from backend.jobs.follower import LOG_LINES, MOST_SAMPLES, fold
from backend.language import text
from backend.studio import Studio
from tests.support import OWNER, request, until

START = JobSnapshot(
    id="1",
    kind=JobKind.GENERATE,
    state=JobState.QUEUED,
    title="",
    variant="demo/fp32/torch",
    request={},
    created_at=0,
)


def after(*events: JobEvent) -> JobSnapshot:
    snapshot = START
    for event in events:
        snapshot = fold(snapshot, event)
    return snapshot


def test_the_first_event_makes_a_job_run() -> None:
    snapshot = after(JobEvent(at=5, phase="encode"))
    assert snapshot.state is JobState.RUNNING
    assert (snapshot.phase, snapshot.first_event_at) == ("encode", 5)


def test_phases_follow_one_another_and_end_when_the_next_begins() -> None:
    snapshot = after(JobEvent(at=1, phase="encode"), JobEvent(at=3, phase="denoise", total=4))
    encode, denoise = snapshot.phases
    assert (encode.started_at, encode.finished_at) == (1, 3)
    assert (denoise.started_at, denoise.finished_at) == (3, None)


def test_rate_and_time_left_come_from_the_steps_of_the_phase() -> None:
    snapshot = after(
        JobEvent(at=10, phase="denoise", step=0, total=12),
        JobEvent(at=12, phase="denoise", step=4, total=12),
    )
    assert (snapshot.steps_per_s, snapshot.eta_s) == (2.0, 4.0)


def test_a_second_picture_begins_its_phases_anew() -> None:
    picture = ImageResult(path="a.png", seed=1, width=8, height=8)
    snapshot = after(
        JobEvent(at=1, phase="denoise", step=12, total=12),
        JobEvent(at=2, phase="decode"),
        JobEvent(at=3, phase="save", image=picture),
        JobEvent(at=4, phase="denoise", step=0, total=12),
    )
    assert [phase.name for phase in snapshot.phases] == ["decode", "save", "denoise"]
    assert snapshot.phases[-1].started_at == 4
    assert snapshot.images == (picture,)


def test_the_log_keeps_its_last_lines() -> None:
    said = [JobEvent(at=n, phase="load", message=text("job.stopping")) for n in range(100)]
    assert len(after(*said).log) == LOG_LINES


def test_what_an_event_leaves_out_stays() -> None:
    snapshot = after(
        JobEvent(at=1, phase="denoise", preview="p.png", memory_bytes=9),
        JobEvent(at=2, phase="denoise", step=1, total=4),
    )
    assert (snapshot.preview, snapshot.peak_memory_bytes) == ("p.png", 9)


def test_memory_is_kept_as_a_curve_of_bounded_length_with_its_peak() -> None:
    held = [JobEvent(at=n, phase="load", held_bytes=n) for n in range(1, 10 * MOST_SAMPLES)]
    snapshot = after(*held, JobEvent(at=9999, phase="load"))
    assert MOST_SAMPLES // 2 <= len(snapshot.memory) <= MOST_SAMPLES
    assert max(size for _, size in snapshot.memory) == 10 * MOST_SAMPLES - 1
    assert [at for at, _ in snapshot.memory] == sorted(at for at, _ in snapshot.memory)


def followers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("follow-")}


def test_a_closed_studio_follows_nothing_any_more(any_studio: Studio) -> None:
    waiting = any_studio.pictures.generate(request(), OWNER)
    running = any_studio.pictures.generate(request(), OWNER)
    any_studio.desk.store.move(running, JobState.RUNNING)
    assert any_studio.jobs.get(waiting, OWNER).state is JobState.QUEUED
    assert any_studio.jobs.get(running, OWNER).state is JobState.RUNNING
    ours = {thread for thread in followers() if thread.name[7:] in (waiting[:8], running[:8])}
    assert len(ours) == 2
    any_studio.close()
    until(lambda: not ours & followers(), "their threads to end")
