"""An ONNX file on the page: what is in it, its engine, and how that runs."""

from collections.abc import Iterable, Mapping

from backend.contracts import (
    Engine,
    EngineState,
    JobSnapshot,
    JobState,
    NetworkView,
    RunResult,
    TensorView,
)
from backend.language import human_bytes, human_seconds
from ui.i18n import t
from ui.parts.job_card import job_card
from ui.parts.markup import button, details, esc, icon
from ui.parts.metrics_line import RUNTIME_NAMES
from ui.parts.network_form import Sizes, build_form, field

REFUSALS = frozenset(
    {
        "invalid_node",
        "unsupported_node",
        "unsupported_node_attr",
        "unsupported_node_datatype",
        "unsupported_node_dynamic",
        "unsupported_node_input",
        "unsupported_node_shape",
    }
)
"""The kinds of NetworkProblem that have a sentence of their own."""


def _card(job: JobSnapshot | None, language: str, now: float) -> str:
    """A job that has no result (yet), with the button that stops it."""
    if job is None or job.state == JobState.SUCCEEDED:
        return ""
    stop = (
        button(t("page.queue.stop", language), "cancel", symbol="close", job=job.id)
        if job.state.is_live
        else ""
    )
    return f"{job_card(job, language, now)}{stop}"


def look_part(
    job: JobSnapshot | None,
    view: NetworkView | None,
    sizes: Mapping[str, Sizes],
    language: str,
    now: float,
) -> str:
    """What is in the file, what TensorRT refuses of it, and the form to build."""
    if job is None or view is None:
        return _card(job, language, now)
    return (
        f'<article class="s-card o-network" data-key="{esc(job.id)}">'
        f"<h3>{esc(view.name)}</h3>{_facts(view, language)}{_problems(view, language)}"
        f"{_tensors(view, language)}{_operators(view, language)}"
        f"{build_form(view, sizes, language)}</article>"
    )


def _facts(view: NetworkView, language: str) -> str:
    weights = " + ".join(f"{human_bytes(size)} {kind}" for kind, size in view.weights.items())
    shown = {
        "size": human_bytes(view.size_bytes),
        "opset": str(view.opset),
        "nodes": f"{view.nodes:,}",
        "weights": weights or "–",
        "external": ", ".join(view.external_files) or "–",
        "producer": view.producer or "–",
    }
    return _list({t(f"onnx.page.{key}", language): value for key, value in shown.items()})


def _list(values: Mapping[str, str]) -> str:
    cells = "".join(
        f"<div><dt>{esc(name)}</dt><dd>{esc(value)}</dd></div>" for name, value in values.items()
    )
    return f'<dl class="s-metrics">{cells}</dl>'


def _problems(view: NetworkView, language: str) -> str:
    if view.edition is None:
        return f"<p>{esc(t('onnx.page.no_parser', language))}</p>"
    if not view.problems:
        return f'<p class="o-good">{icon("check")}{esc(t("onnx.page.parsed", language))}</p>'
    head = [t(f"onnx.page.{key}", language) for key in ("operator", "node", "reason")]
    rows = [
        (
            each.operator,
            f"{each.name} #{each.index}" if each.index >= 0 else "",
            f"{_why(each.kind, language)} ({each.reason})",
        )
        for each in view.problems
    ]
    said = esc(t("onnx.page.refused", language, count=len(rows)))
    return f'<p class="o-bad">{icon("warning")}{said}</p>{_table(head, rows, "onnx-problems")}'


def _why(kind: str, language: str) -> str:
    return t(f"onnx.refusal.{kind if kind in REFUSALS else 'other'}", language)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]], name: str) -> str:
    top = "".join(f'<th scope="col">{esc(cell)}</th>' for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{esc(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f'<div class="o-scroll"><table class="o-table" id="{name}">'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _tensors(view: NetworkView, language: str) -> str:
    def row(side: str, tensor: TensorView) -> tuple[str, ...]:
        shape = " × ".join(str(size) for size in tensor.shape)
        return t(f"onnx.page.{side}", language), tensor.name, tensor.type, shape

    head = [t(f"onnx.page.{key}", language) for key in ("side", "name", "type", "shape")]
    rows = [row("input", each) for each in view.inputs]
    rows += [row("output", each) for each in view.outputs]
    return _table(head, rows, "onnx-tensors")


def _operators(view: NetworkView, language: str) -> str:
    rows = [(name, f"{count:,}") for name, count in view.operators.items()]
    head = [t(f"onnx.page.{key}", language) for key in ("operator", "nodes")]
    title = t("onnx.page.operators", language, count=len(rows))
    return details("onnx-operators", title, _table(head, rows, "onnx-operator-table"))


def built_part(job: JobSnapshot | None, engine: Engine | None, language: str, now: float) -> str:
    """The engine that was built, and the form to run it."""
    if job is None or engine is None:
        return _card(job, language, now)
    made = engine.manifest
    facts = {
        t("onnx.page.precision", language): made.precision.upper(),
        t("onnx.page.runtime", language): f"{RUNTIME_NAMES[made.runtime]} {made.version}",
        t("onnx.page.target", language): made.target,
        t("onnx.page.size", language): human_bytes(made.size_bytes),
        t("onnx.page.build_time", language): human_seconds(made.build_s),
    }
    state = esc(engine.reason.render(language))
    runs = engine.state == EngineState.VALID
    form = (
        f'<form id="onnx-run-form" class="o-form" data-engine="{esc(made.id)}" novalidate>'
        f'<div class="o-row">{field("seed", "onnx.page.seed", language, value="0", kind="number")}'
        f"{field('inputs', 'onnx.page.inputs', language)}</div>"
        '<div class="s-row"><button type="submit" class="s-button" id="onnx-run-go"'
        f"{'' if runs else ' disabled'}><span>{esc(t('onnx.page.run', language))}</span></button>"
        "</div></form>"
    )
    return (
        f'<article class="s-card o-engine" data-key="{esc(made.id)}" '
        f'data-state="{esc(engine.state)}"><h3>{esc(made.id)}</h3>{_list(facts)}'
        f"<p>{icon('check' if engine.usable else 'warning')}{state}</p>{form}</article>"
    )


def run_part(job: JobSnapshot | None, language: str, now: float) -> str:
    """Error and latency of a run."""
    if job is None or not job.result:
        return _card(job, language, now)
    result = RunResult.model_validate(job.result)
    head = [t(f"onnx.page.{key}", language) for key in ("output", "shape", "max_abs", "rms")]
    rows = [
        (
            each.name,
            " × ".join(str(size) for size in each.shape),
            f"{each.max_abs:.2e}" + (f" ({each.not_finite} NaN/inf)" if each.not_finite else ""),
            f"{each.relative_rms:.2e}",
        )
        for each in result.outputs
    ]
    times = {
        t("onnx.page.engine_ms", language): f"{result.engine_ms:.2f} ms",
        t("onnx.page.reference_ms", language): f"{result.reference_ms:.2f} ms",
        t("onnx.page.passes", language): str(result.passes),
    }
    return (
        f'<article class="s-card o-run" data-key="{esc(job.id)}">{_list(times)}'
        f"{_table(head, rows, 'onnx-errors')}</article>"
    )
