"""The Quantise tab: the results of quantising."""

import gradio as gr


def quantize_tab() -> None:
    """Build the tab inside the current Blocks; `assets/js/quantize/result.js` draws it from
    `ui.quantize_result_routes`."""
    gr.HTML(
        '<div id="quantize-results"></div>',
        js_on_load="window.studio.mountQuantizeResults()",
        elem_id="quantize-parts",
        apply_default_css=False,
    )
