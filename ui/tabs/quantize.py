"""The Quantise tab: a wizard from a model to a checkpoint, and what came of earlier ones."""

import gradio as gr

FRAME = (
    '<div id="quantize" class="q-tab" data-view="wizard">'
    '<div id="quantize-views" class="e-views" role="tablist"></div>'
    '<div id="quantize-wizard"><nav id="quantize-steps"></nav><section id="quantize-main">'
    '<div id="quantize-notice" class="s-notice"></div>'
    '<form id="quantize-form" class="q-form" novalidate></form>'
    '<div id="quantize-run"></div></section></div>'
    '<div id="quantize-results" role="tabpanel"></div></div>'
)


def quantize_tab() -> None:
    """Build the tab inside the current Blocks; `assets/js/quantize` draws its parts from
    `ui.quantize_routes`."""
    gr.HTML(
        FRAME,
        js_on_load="window.studio.mountQuantize()",
        elem_id="quantize-parts",
        apply_default_css=False,
    )
