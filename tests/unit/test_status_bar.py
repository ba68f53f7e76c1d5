from backend.contracts import GpuSample, MemorySample, StudioStatus, WorkerStatus
from ui.parts.status_bar import status_bar


def bar(gpu: GpuSample | None) -> str:
    memory = MemorySample(
        kind="unified", total_bytes=128, used_bytes=32, process_bytes=16, taken_at=0
    )
    worker = WorkerStatus(
        name="spark-gpu0",
        pid=1,
        device="NVIDIA GB10",
        alive=True,
        budget_bytes=64,
        memory=memory,
        gpu=gpu,
        resident=(),
        seen_at=0,
    )
    status = StudioStatus(version="0", workers=(worker,), waiting=0, running=0)
    return status_bar(status, "en")


def test_a_gpu_shows_what_its_driver_reports() -> None:
    partly = GpuSample(utilisation_percent=35, power_w=None, temperature_c=48)
    assert "35 % · 48 °C" in bar(partly)


def test_without_a_gpu_or_its_figures_nothing_is_shown() -> None:
    silent = GpuSample(utilisation_percent=None, power_w=None, temperature_c=None)
    assert 'id="gpu"' not in bar(silent)
    assert 'id="gpu"' not in bar(None)
