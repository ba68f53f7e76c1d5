"""People take turns on a real worker."""

from backend.contracts import JobState
from backend.studio import Studio
from tests.support import LONG, PATIENCE_S, await_phase, request, running_worker

QUICK = {"steps": 1, "width": 64, "height": 64}


def test_a_worker_lets_another_one_in_before_ones_second_picture(studio: Studio) -> None:
    generate = studio.pictures.generate
    with running_worker(studio.settings):
        first = generate(request(**LONG), "visitor:test")
        await_phase(studio, first, "denoise", 1)
        mine = [generate(request(**QUICK), "visitor:test") for _ in range(3)]
        theirs = [generate(request(**QUICK), "visitor:other") for _ in range(2)]
        studio.jobs.cancel(first, None)
        ended = [studio.jobs.wait(each, None, PATIENCE_S) for each in (*mine, *theirs)]
    assert {job.state for job in ended} == {JobState.SUCCEEDED}
    in_order = sorted(ended, key=lambda job: job.started_at or 0)
    assert [job.id for job in in_order] == [theirs[0], mine[0], theirs[1], mine[1], mine[2]]
