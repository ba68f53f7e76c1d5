"""Memory, retention and owners, on real workers and databases."""

import shutil
import time
from pathlib import Path

import pytest

from backend.contracts import JobKind, JobState
from backend.errors import Code, StudioError
from backend.jobs.retention import sweep
from backend.jobs.store import JobRow, new_job
from backend.models import files
from backend.settings import ASSETS
from backend.studio import Studio
from tests.support import OWNER, PATIENCE_S, request, running_worker, until

DEMO = ASSETS / "models" / "demo-flux"
STRANGER = "visitor:stranger"


def test_a_model_that_cannot_fit_the_budget_is_refused(studio: Studio) -> None:
    small = studio.settings.model_copy(update={"memory_budget_bytes": 1024**2})
    with running_worker(small):
        job = studio.jobs.wait(studio.pictures.generate(request(), OWNER), OWNER, PATIENCE_S)
    assert job.error
    assert job.error.code is Code.MODEL_TOO_LARGE
    assert "1.0 MiB" in job.error.message()


def test_the_pool_makes_room_and_lets_go_on_request(studio: Studio) -> None:
    with running_worker(studio.settings):
        studio.jobs.wait(studio.pictures.generate(request(steps=1), OWNER), OWNER, PATIENCE_S)
        key = "demo-flux/fp32/torch"
        until(lambda: key in resident(studio), "the model to be listed")
        fp32 = next(v for v in studio.models.find("demo-flux").variants if v.precision == "fp32")
        assert fp32.loaded
        until(
            lambda: not studio.machine.status().workers[0].resident[0].in_use,
            "the model to be idle",
        )
        studio.models.unload(key)
        until(lambda: key not in resident(studio), "the model to go")


def resident(studio: Studio) -> set[str]:
    return {model.key for worker in studio.machine.status().workers for model in worker.resident}


def test_a_model_whose_weights_do_not_fit_its_shape_fails_its_job_alone(
    studio: Studio, tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(DEMO, tmp_path / "models" / "broken"))
    text_encoder, vae = broken / "text_encoder", broken / "vae"
    weights = files.weight_files(text_encoder.parent)
    target = next(file for file in weights if file.parent == vae)
    source = next(file for file in weights if file.parent == text_encoder)
    shutil.copy(source, target)
    settings = studio.settings.model_copy(update={"models": (broken.parent,)})
    own = Studio(settings)
    with running_worker(settings):
        failed = own.jobs.wait(
            own.pictures.generate(request(model="broken"), OWNER), OWNER, PATIENCE_S
        )
        fine = own.jobs.wait(own.pictures.generate(request(), OWNER), OWNER, PATIENCE_S)
    assert failed.error
    assert failed.error.code is Code.MODEL_FILES_CORRUPTED
    assert fine.state is JobState.SUCCEEDED
    own.close()


def test_nobody_reaches_the_job_of_another(studio: Studio) -> None:
    job_id = studio.pictures.generate(request(prompt="a private star"), OWNER)
    for act in (studio.jobs.get, studio.jobs.cancel, studio.jobs.retry, studio.jobs.delete):
        with pytest.raises(StudioError) as refusal:
            act(job_id, STRANGER)
        assert refusal.value.code is Code.JOB_NOT_FOUND
    assert studio.jobs.history(STRANGER).total == 0
    assert studio.jobs.live(STRANGER) == ()
    (entry,) = studio.jobs.queue(STRANGER)
    assert (entry.mine, entry.id, entry.title) == (False, None, None)
    file = studio.settings.outputs / job_id / "picture.png"
    assert studio.pictures.owner_of_file(file) == OWNER
    assert (
        studio.pictures.owner_of_file(studio.settings.outputs / job_id / ".." / ".." / "studio.db")
        is None
    )


def test_history_is_searched_by_prompt_and_paged(studio: Studio) -> None:
    for title in ("a red heart", "100% blue", "a red star"):
        studio.pictures.generate(request(prompt=title), OWNER)
    assert [job.title for job in studio.jobs.history(OWNER, "RED").jobs] == [
        "a red star",
        "a red heart",
    ]
    assert studio.jobs.history(OWNER, "100%").total == 1
    page = studio.jobs.history(OWNER, limit=2, offset=2)
    assert (len(page.jobs), page.total) == (1, 3)


def test_only_so_many_jobs_wait_for_one_person(studio: Studio) -> None:
    own = Studio(studio.settings.model_copy(update={"max_waiting_jobs": 2}))
    for _ in range(2):
        own.pictures.generate(request(), OWNER)
    with pytest.raises(StudioError) as refusal:
        own.pictures.generate(request(), OWNER)
    assert refusal.value.code is Code.TOO_MANY_WAITING
    own.pictures.generate(request(), STRANGER)
    own.close()


def test_the_wait_is_estimated_from_measured_durations(studio: Studio) -> None:
    done = ended_job(studio, started_at=100.0, finished_at=102.0)
    first, second = (studio.pictures.generate(request(), OWNER) for _ in range(2))
    assert studio.jobs.get(first, OWNER).wait_s == 0.0
    work = studio.desk.store.find(second)
    assert work is not None
    assert studio.jobs.get(second, OWNER).wait_s == pytest.approx(2.0 * work.work / done.work)


def ended_job(studio: Studio, started_at: float, finished_at: float) -> JobRow:
    """An ended job with a picture of 1 MiB."""
    row = new_job(
        kind=JobKind.GENERATE,
        queue="interactive",
        priority=10,
        owner=OWNER,
        title="old",
        variant="demo-flux/fp32/torch",
        request=request().model_dump(mode="json"),
        work=1.0,
    )
    store = studio.desk.store
    with store.engine.begin() as connection:
        store.insert(connection, row)
    store.update(
        row.id,
        state=JobState.SUCCEEDED,
        started_at=started_at,
        finished_at=finished_at,
        created_at=started_at,
    )
    folder = studio.settings.outputs / row.id
    folder.mkdir(parents=True)
    (folder / "picture.png").write_bytes(b"0" * 1024**2)
    return row


def test_old_jobs_and_pictures_beyond_the_size_are_swept(studio: Studio) -> None:
    now = time.time()
    old, large, newest = (
        ended_job(studio, started_at=now - age, finished_at=now - age + 1)
        for age in (100 * 86_400.0, 20.0, 10.0)
    )
    live = studio.pictures.generate(request(), OWNER)
    settings = studio.settings.model_copy(update={"retention_bytes": 3 * 1024**2 // 2})
    assert sweep(settings, studio.desk.store, studio.desk.queue) == 2
    left = {job.id for job in studio.jobs.history(OWNER).jobs}
    assert left == {newest.id, live}
    assert not (settings.outputs / old.id).exists()
    assert not (settings.outputs / large.id).exists()
    assert (settings.outputs / newest.id).exists()
