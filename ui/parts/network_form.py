"""The forms of the section for ONNX files."""

from collections.abc import Iterable, Mapping

from backend.contracts import NetworkView, Precision, Runtime
from ui.i18n import t
from ui.parts.markup import esc, icon
from ui.parts.metrics_line import RUNTIME_NAMES

BOUNDS = ("min", "opt", "max")
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
        f'<div class="o-row">{field("file", "onnx.page.file", language, "onnx-files")}'
        f"{field('repo', 'onnx.page.repo', language)}"
        f"{field('revision', 'onnx.page.revision', language)}</div>"
        f'<datalist id="onnx-files">{options}</datalist>'
        f'<div class="s-row"><button type="submit" class="s-button" id="onnx-look-go">'
        f"<span>{esc(t('onnx.page.look', language))}</span></button>{upload}</div>"
    )


def field(
    name: str, key: str, language: str, options: str = "", value: str = "", kind: str = "text"
) -> str:
    listed = f' list="{options}"' if options else ""
    return (
        f'<label class="o-field"><span>{esc(t(key, language))}</span>'
        f'<input class="s-field" type="{kind}" name="{name}" value="{esc(value)}"'
        f' autocomplete="off" spellcheck="false"{listed}></label>'
    )


def build_form(view: NetworkView, sizes: Mapping[str, Sizes], language: str) -> str:
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
        f"{field('target', 'onnx.page.target', language)}</div>"
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
