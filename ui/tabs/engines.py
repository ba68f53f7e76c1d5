"""The Engines tab: a build form on the left; engines, other sections and the disk on the right."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import gradio as gr

from ui.tabs.onnx import onnx_section

if TYPE_CHECKING:
    from backend.studio import Studio

FORM = '<form id="engine-form" class="e-form" novalidate></form>'
NAVIGATION = (
    '<div id="engine-views" class="e-views" role="tablist"></div>'
    '<div id="engine-notice" class="s-notice"></div><div id="engine-jobs"></div>'
)
VIEWS = (
    '<div id="engine-list" data-view="list" role="tabpanel"></div>'
    '<div id="engine-inspect" data-view="inspect" role="tabpanel"></div>'
    '<div id="engine-storage" data-view="storage" role="tabpanel"></div>'
)
Section = Callable[["Studio"], None]
SECTIONS: tuple[tuple[str, Section], ...] = (("onnx", onnx_section),)
"""More sections of the tab, each a name that `engines.js` has a title for and what builds it inside
the current Column."""


def engines_tab(studio: "Studio") -> None:
    """Build the tab inside the current Blocks; its live parts are drawn by `assets/js/engines.js`
    from `ui.engines`."""
    with gr.Row(elem_id="engines"):
        gr.HTML(FORM, elem_id="engine-side", apply_default_css=False, js_on_load=None)
        with gr.Column(elem_id="engine-main"):
            gr.HTML(NAVIGATION, elem_id="engine-top", apply_default_css=False, js_on_load=None)
            gr.HTML(
                VIEWS,
                js_on_load="window.studio.mountEngines()",
                elem_id="engine-parts",
                apply_default_css=False,
            )
            for name, build in SECTIONS:
                with gr.Column(elem_id=f"engine-view-{name}", elem_classes="e-more"):
                    build(studio)
