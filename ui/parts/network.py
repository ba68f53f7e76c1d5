"""An ONNX file on the page: where it comes from, what is in it, its engine, and how that runs."""

from collections.abc import Iterable, Mapping

from backend.contracts import (
    Engine,
    EngineState,
    JobSnapshot,
    JobState,
    NetworkView,
    Precision,
    RunResult,
    Runtime,
    TensorView,
)
from backend.language import human_bytes, human_seconds
from ui.i18n import t
from ui.parts.job_card import job_card
from ui.parts.markup import button, details, esc, icon
from ui.parts.metrics_line import RUNTIME_NAMES

BOUNDS = ("min", "opt", "max")
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
Sizes = tuple[int, int, int]


def source_part(files: Iterable[str], language: str) -> str:
    """Where a file is chosen: by name or path, from the hub, or by uploading it."""
    options = "".join(f'<option value="{esc(name)}"></option>' for name in files)
    upload = (
        f'<label class="s-button quiet s-file">{icon("reuse")}'
        f"<span>{esc(t('onnx.page.upload', language))}</span>"
        '<input type="file" id="onnx-upload" multiple></label>'
    )
    return (
        f"<p>{esc(t('onnx.page.about', language))}</p>"
        f'<div class="o-row">{_field("file", "onnx.page.file", language, "onnx-files")}'
        f"{_field('repo', 'onnx.page.repo', language)}"
        f"{_field('revision', 'onnx.page.revision', language)}</div>"
        f'<datalist id="onnx-files">{options}</datalist>'
        f'<div class="s-row"><button type="submit" class="s-button" id="onnx-look-go">'
        f"<span>{esc(t('onnx.page.look', language))}</span></button>{upload}</div>"
    )


def _field(
    name: str, key: str, language: str, options: str = "", value: str = "", kind: str = "text"
) -> str:
    listed = f' list="{options}"' if options else ""
    return (
        f'<label class="o-field"><span>{esc(t(key, language))}</span>'
        f'<input class="s-field" type="{kind}" name="{name}" value="{esc(value)}"'
        f' autocomplete="off" spellcheck="false"{listed}></label>'
    )


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
        f"{_build_form(view, sizes, language)}</article>"
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


def _build_form(view: NetworkView, sizes: Mapping[str, Sizes], language: str) -> str:
    as_is = t("onnx.page.as_is", language, precision=view.precision.upper())
    precisions = [("", as_is)]
    if view.precision == Precision.FP32:
        precisions += [(each, each.upper()) for each in (Precision.FP16, Precision.BF16)]
    runtimes = [(each, RUNTIME_NAMES[each]) for each in (Runtime.TENSORRT, Runtime.ONNXRUNTIME)]
    return (
        '<form id="onnx-form" class="o-form" novalidate>'
        f"{_dimensions(sizes, language)}<div class='o-row'>"
        f"{_choice('precision', 'onnx.page.precision', precisions, language)}"
        f"{_choice('runtime', 'onnx.page.runtime', runtimes, language)}"
        f"{_field('target', 'onnx.page.target', language)}</div>"
        '<div class="s-row"><button type="submit" class="s-button" id="onnx-build-go">'
        f"<span>{esc(t('onnx.page.build', language))}</span></button></div></form>"
    )


def _choice(name: str, key: str, options: Iterable[tuple[str, str]], language: str) -> str:
    items = "".join(f'<option value="{esc(value)}">{esc(text)}</option>' for value, text in options)
    return (
        f'<label class="o-field"><span>{esc(t(key, language))}</span>'
        f'<select class="s-field" name="{name}">{items}</select></label>'
    )


def _dimensions(sizes: Mapping[str, Sizes], language: str) -> str:
    """A row of three numbers for each free dimension."""
    if not sizes:
        return f"<p>{esc(t('onnx.page.fixed', language))}</p>"
    head = "".join(
        f'<th scope="col">{esc(t(f"onnx.page.{key}", language))}</th>'
        for key in ("dimension", *BOUNDS)
    )
    rows = "".join(
        f'<tr><th scope="row">{esc(name)}</th>'
        + "".join(
            f'<td><input class="s-field" type="number" min="0" step="1" value="{size}" '
            f'data-dimension="{esc(name)}" aria-label="{esc(name)} {bound}"></td>'
            for bound, size in zip(BOUNDS, bounds, strict=True)
        )
        + "</tr>"
        for name, bounds in sizes.items()
    )
    return (
        f'<table class="o-table" id="onnx-dimensions"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


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
        f'<div class="o-row">{_field("seed", "onnx.page.seed", language, value="0", kind="number")}'
        f"{_field('inputs', 'onnx.page.inputs', language)}</div>"
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
