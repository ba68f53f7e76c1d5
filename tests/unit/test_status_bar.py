from backend.contracts import (
    Endpoint,
    GpuSample,
    MemorySample,
    ServerKind,
    ServerPhase,
    ServerStatus,
    StudioStatus,
    WorkerStatus,
)
from ui.parts.status_bar import status_bar


def bar(gpu: GpuSample | None, *servers: ServerStatus) -> str:
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
        servers=servers,
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


def server(model: str, kind: ServerKind, phase: ServerPhase, **changes: object) -> ServerStatus:
    endpoint = Endpoint(
        kind=kind, url="http://127.0.0.1:1", model_id=model, model=model, precision="FP8"
    )
    return ServerStatus(
        key=f"{model}/{kind}",
        phase=phase,
        endpoint=endpoint.model_copy(update=changes),
        command="",
        pid=1,
        started_at=0,
        estimate_bytes=2**30,
        memory_bytes=3 * 2**20,
    )


def test_each_server_has_a_chip_that_stops_it() -> None:
    shown = bar(
        None,
        server("maker/model", ServerKind.TRANSFORMERS, ServerPhase.READY),
        server("big", ServerKind.CONTAINER, ServerPhase.LOADING),
        server("odd", ServerKind.VLLM, ServerPhase.FAILED),
        server("a-simulated-0", ServerKind.TRANSFORMERS, ServerPhase.READY, simulated=True),
    )
    ready, loading, failed, simulated = shown.split('class="s-chip"')[1:]
    for chip, key in ((ready, "maker/model/transformers"), (failed, "odd/vllm")):
        assert f'data-action="server-stop" data-key="{key}"' in chip
    assert "<b>maker/model</b><small>3.0 MiB</small>" in ready
    assert "model · transformers: Ready" in ready
    assert "Loading not visible from outside its container" in loading
    assert "<small>Failed</small>" in failed
    assert "<b>a</b>" in simulated and "weights only, simulated" in simulated
