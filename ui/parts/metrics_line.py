"""One line of figures under every result."""

from pydantic import BaseModel

from backend.contracts import GenerateMetrics, JobSnapshot, Runtime, ServerKind
from backend.language import human_bytes, human_seconds
from ui.i18n import t
from ui.parts.markup import esc

RUNTIME_NAMES = {
    Runtime.TORCH: "PyTorch",
    Runtime.ONNXRUNTIME: "ONNX Runtime",
    Runtime.TENSORRT: "TensorRT",
}


SERVER_NAMES = {
    ServerKind.TENSORRT_LLM: "TensorRT-LLM",
    ServerKind.CONTAINER: "TensorRT-LLM (container)",
    ServerKind.VLLM: "vLLM",
    ServerKind.TRANSFORMERS: "transformers",
    ServerKind.OUTSIDE: "OpenAI API",
}


class Figure(BaseModel):
    name: str
    value: str


def variant_name(variant: str) -> str:
    """`model/precision/runtime` or `model/server` as people read it; of a job about a model's
    files, the model. A model may be a repository or a folder, with slashes of its own."""
    served, _, server = variant.rpartition("/")
    if server in SERVER_NAMES:
        return f"{served.rpartition('/')[2]} · {SERVER_NAMES[ServerKind(server)]}"
    model, *rest = variant.rsplit("/", 2)
    if len(rest) < len(("precision", "runtime")):
        return model
    precision, runtime = rest
    return f"{model} · {precision.upper()} · {RUNTIME_NAMES.get(Runtime(runtime), runtime)}"


def figures(job: JobSnapshot, metrics: GenerateMetrics, language: str) -> list[Figure]:
    request = job.request
    seeds = [image.seed for image in job.images] or [request["seed"]]
    seed = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} … {seeds[-1]}"
    runtime = RUNTIME_NAMES[metrics.runtime]
    shown = {
        "variant": f"{metrics.precision.upper()} · {runtime}",
        "size": f"{request['width']} × {request['height']}",
        "steps": str(request["steps"]),
        "total": human_seconds(metrics.total_s),
        "speed": f"{metrics.steps_per_s:.1f} it/s",
        "encode": f"{metrics.text_encode_ms:.0f} ms",
        "encoders": t("page.metric.unloaded", language) if metrics.encoders_unloaded else "",
        "decode": f"{metrics.decode_ms:.0f} ms",
        "peak": human_bytes(metrics.peak_memory_bytes),
        "seed": seed,
    }
    return [
        Figure(name=t(f"page.metric.{key}", language), value=v) for key, v in shown.items() if v
    ]


def metrics_line(job: JobSnapshot, metrics: GenerateMetrics, language: str) -> str:
    cells = "".join(
        f"<div><dt>{esc(figure.name)}</dt><dd>{esc(figure.value)}</dd></div>"
        for figure in figures(job, metrics, language)
    )
    return f'<dl class="s-metrics" id="metrics">{cells}</dl>'
