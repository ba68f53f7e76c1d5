"""The section for any ONNX file: choose it, see what is in it, build, run."""

from typing import TYPE_CHECKING

import gradio as gr

if TYPE_CHECKING:
    from backend.studio import Studio

PARTS = (
    '<div id="onnx" class="o-section"><div id="onnx-notice" class="s-notice"></div>'
    '<form id="onnx-source" class="o-form" novalidate></form><div id="onnx-look"></div>'
    '<div id="onnx-build"></div><div id="onnx-run"></div></div>'
)


def onnx_section(studio: "Studio") -> None:
    """Build the section inside the current Column or Tab; `assets/js/onnx.js` draws its parts from
    `ui.onnx_routes`."""
    gr.HTML(
        PARTS,
        js_on_load="window.studio.mountOnnx()",
        elem_id="onnx-parts",
        apply_default_css=False,
    )
