"""What is kept on disk, and that a clean-up deletes what was shown and nothing else."""

import json
import time
from pathlib import Path

import pytest

from backend.chat.models import MANIFEST, SIMULATION
from backend.contracts import (
    Endpoint,
    EngineRequest,
    MemorySample,
    Precision,
    QuantizeRequest,
    Runtime,
    ServeRequest,
    ServerKind,
    ServerPhase,
    ServerStatus,
    StorageItem,
    StorageKind,
    WorkerStatus,
)
from backend.storage import OutsideError, remove
from backend.studio import Studio
from tests.support import OWNER, request
from tests.tiny_llama import make_tiny_llama

REPO = "black-forest-labs/FLUX.1-dev"
COMMIT = "1" * 40
FOREIGN = "somebody/else"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache with one model of the studio, and a copy of it that the studio does not know."""
    cache = tmp_path / "hub"
    for repo in (REPO, FOREIGN):
        folder = cache / f"models--{repo.replace('/', '--')}"
        snapshot = folder / "snapshots" / COMMIT
        snapshot.mkdir(parents=True)
        (folder / "blobs").mkdir()
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text(COMMIT)
        (folder / "blobs" / "abc").write_bytes(b"w" * 5000)
        (snapshot / "weights.bin").symlink_to(folder / "blobs" / "abc")
    monkeypatch.setattr("backend.storage.constants.HF_HUB_CACHE", str(cache))
    return cache


def put(file: Path, size: int) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * size)
    return file


def items(studio: Studio, owner: str | None = OWNER) -> dict[str, StorageItem]:
    return {
        f"{item.kind}:{item.name}": item
        for group in studio.disk.storage(owner).groups
        for item in group.items
    }


def test_everything_is_counted_by_kind(studio: Studio, hub: Path) -> None:
    home = studio.settings.home
    put(home / "onnx" / "demo-flux.0123" / "transformer.fp32.onnx", 300)
    put(home / "calibrations" / "demo-flux.int8.safetensors", 20)
    put(home / "timing" / "rtx-1.7", 7)
    put(home / "engines" / ".deadbeef" / "engine.plan", 50)
    put(home / "outputs" / "nobody" / "a.png", 11)
    put(home / "previews" / "nobody" / "p.png", 3)
    found = studio.disk.storage(OWNER)
    sizes = {group.kind: group.size_bytes for group in found.groups}
    assert sizes == {
        StorageKind.HUB: 5000,
        StorageKind.ONNX: 300,
        StorageKind.CALIBRATIONS: 20,
        StorageKind.TIMING: 7,
        StorageKind.PREVIEWS: 3,
        StorageKind.LEFTOVERS: 61,
    }
    assert found.foreign_hub_bytes == 5000
    assert found.disk_free_bytes > 0


def test_exactly_what_was_shown_goes(studio: Studio, hub: Path) -> None:
    home = studio.settings.home
    gone = put(home / "calibrations" / "one.safetensors", 20)
    kept = put(home / "calibrations" / "two.safetensors", 20)
    shown = items(studio)
    changed = shown["calibrations:two.safetensors"].key
    kept.write_bytes(b"another calibration")
    done = studio.disk.clean_up(
        (shown["calibrations:one.safetensors"].key, shown[f"hub:{REPO}"].key, changed, "onnx:no@1"),
        OWNER,
    )
    assert not gone.exists()
    assert kept.exists()
    assert {item.name for item in done.gone} == {"one.safetensors", REPO}
    assert done.freed_bytes == 5020
    assert {item.name for item in done.kept} == {"two.safetensors", "no"}
    assert all(item.kept and item.kept.key == "storage.changed" for item in done.kept)
    assert not (hub / "models--black-forest-labs--FLUX.1-dev").exists()
    assert (hub / "models--somebody--else" / "blobs" / "abc").exists()
    assert (
        studio.disk.clean_up(
            (shown[f"hub:{FOREIGN}"].key,) if f"hub:{FOREIGN}" in shown else (), OWNER
        ).gone
        == ()
    )


def test_what_a_live_job_uses_stays(studio: Studio, hub: Path) -> None:
    home = studio.settings.home
    mine = put(home / "onnx" / "demo-flux.0123" / "a.onnx", 30)
    put(home / "onnx" / "flux.1-dev.0123" / "a.onnx", 30)
    timing = put(home / "timing" / "rtx-1.7", 7)
    prompts = studio.engines.keep_prompts(b"a red circle\n", "own.txt")
    job = studio.engines.build(
        EngineRequest(
            model="demo-flux",
            precision=Precision.INT8,
            runtime=Runtime.ONNXRUNTIME,
            prompts=prompts,
        ),
        OWNER,
    )
    work = put(home / "engines" / f".{job}" / "transformer" / "model.onnx", 5)
    shown = items(studio)
    used = [name for name, item in shown.items() if item.kept is not None]
    assert sorted(used) == [
        "calibrations:prompts",
        f"leftovers:.{job}",
        "onnx:demo-flux.0123",
        "timing:rtx-1.7",
    ]
    done = studio.disk.clean_up(tuple(item.key for item in shown.values()), OWNER)
    assert mine.exists()
    assert work.exists()
    assert timing.exists()
    assert {item.name for item in done.gone} == {"flux.1-dev.0123", REPO}


def test_pictures_are_their_owners_and_go_with_their_entry(studio: Studio, hub: Path) -> None:
    job = studio.pictures.generate(request(), OWNER)
    studio.jobs.cancel(job, OWNER)
    put(studio.settings.outputs / job / "a.png", 11)
    assert not [name for name in items(studio, "visitor:other") if name.startswith("pictures:")]
    (item,) = (item for item in items(studio).values() if item.kind is StorageKind.PICTURES)
    assert studio.disk.clean_up((item.key,), "visitor:other").gone == ()
    assert (studio.settings.outputs / job).exists()
    assert studio.disk.clean_up((item.key,), OWNER).freed_bytes == 11
    assert not (studio.settings.outputs / job).exists()
    assert studio.jobs.history(OWNER).total == 0


def test_nothing_outside_the_home_folder_can_go(studio: Studio, hub: Path, tmp_path: Path) -> None:
    home = studio.settings.home
    outside = put(tmp_path / "precious" / "file", 9)
    (home / "onnx").symlink_to(outside.parent)
    (home / "calibrations").mkdir(parents=True)
    (home / "calibrations" / "link").symlink_to(outside)
    shown = items(studio)
    done = studio.disk.clean_up(tuple(item.key for item in shown.values()), OWNER)
    assert outside.read_bytes() == b"x" * 9
    assert not (home / "calibrations" / "link").is_symlink()
    refused = {item.name: item.kept.key for item in done.kept if item.kept}
    assert refused["file"] == "storage.outside"
    around = home / "calibrations" / ".." / ".." / "precious" / "file"
    for path in (outside, home, home.parent, home / "onnx", home / "onnx" / "file", around):
        with pytest.raises(OutsideError):
            remove(studio.settings, path)
    assert outside.exists()


def language_models(studio: Studio, hub: Path) -> None:
    """A checkpoint with its simulation, another one, a model in the hub's cache, and leftovers."""
    home = studio.settings.home
    source = make_tiny_llama(home / "checkpoints" / "mine")
    make_tiny_llama(home / "checkpoints" / "other")
    make_tiny_llama(home / "checkpoints" / "another")
    copy = make_tiny_llama(home / "simulated_checkpoints" / "mine-simulated-0")
    told = {"label": SIMULATION, "algorithm": "FP8", "source": str(source)}
    (copy / MANIFEST).write_text(json.dumps(told))
    put(home / "simulated_checkpoints" / ".other.part" / "weights", 5)
    put(home / "servers" / "options.json", 9)
    snapshot = hub / "models--maker--talker" / "snapshots" / COMMIT
    make_tiny_llama(snapshot)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text(COMMIT)


def serving(studio: Studio, *models: str) -> None:
    """A worker reports that it serves these."""
    servers = tuple(
        ServerStatus(
            key=f"{model}/transformers",
            phase=ServerPhase.READY,
            endpoint=Endpoint(kind=ServerKind.TRANSFORMERS, url="", model_id="", model=model),
            command="",
            pid=1,
            started_at=0,
        )
        for model in models
    )
    memory = MemorySample(kind="cpu", total_bytes=1, used_bytes=0, process_bytes=0, taken_at=0)
    studio.desk.store.report_worker(
        WorkerStatus(
            name="w",
            pid=1,
            device="CPU",
            alive=True,
            budget_bytes=1,
            memory=memory,
            resident=(),
            servers=servers,
            seen_at=time.time(),
        )
    )


def test_language_models_go_unless_they_are_served_or_asked_for(studio: Studio, hub: Path) -> None:
    language_models(studio, hub)
    free = {name: item for name, item in items(studio).items() if item.kept is None}
    assert {
        "checkpoints:mine",
        "checkpoints:other",
        "simulated:mine-simulated-0",
        "leftovers:.other.part",
        "servers:options.json",
        "hub:maker/talker",
    } <= free.keys()
    serving(studio, "mine-simulated-0", "maker/talker")
    job = studio.chat.serve(ServeRequest(model="other", kind=ServerKind.TRANSFORMERS), OWNER)
    making = studio.quantize.quantize(
        QuantizeRequest(model="another", recipe="int8_weight_only"), OWNER
    )
    for begun in (making, "0" * 32):
        put(studio.settings.home / "checkpoints" / f".{begun}" / "weights", 5)
    shown = items(studio)
    reasons = {name: item.kept.render() for name, item in shown.items() if item.kept}
    assert reasons == {
        "checkpoints:mine": "The server mine-simulated-0/transformers runs on a copy of it.",
        "checkpoints:another": "In use by a job that waits or runs.",
        f"leftovers:.{making}": "In use by a job that waits or runs.",
        "checkpoints:other": "In use by a job that waits or runs.",
        "simulated:mine-simulated-0": "Served now, by mine-simulated-0/transformers.",
        "leftovers:.other.part": "In use by a job that waits or runs.",
        "servers:options.json": "Servers are running.",
        "hub:maker/talker": "Served now, by maker/talker/transformers.",
    }
    studio.jobs.cancel(job, OWNER)
    studio.jobs.cancel(making, OWNER)
    serving(studio)
    done = studio.disk.clean_up(tuple(item.key for item in shown.values()), OWNER)
    assert {f"{item.kind}:{item.name}" for item in done.gone} >= reasons.keys()
    assert not list((studio.settings.home / "checkpoints").iterdir())
    assert not (hub / "models--maker--talker").exists()
    assert (hub / "models--somebody--else").exists()


def test_a_model_that_is_being_fetched_stays(studio: Studio, hub: Path) -> None:
    language_models(studio, hub)
    studio.chat.serve(ServeRequest(model="maker/talker", kind=ServerKind.TRANSFORMERS), OWNER)
    kept = items(studio)["hub:maker/talker"].kept
    assert kept and kept.key == "storage.in_use"
