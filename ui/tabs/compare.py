"""The Compare tab: variants of a model side by side, past comparisons, and two reports at once."""

import gradio as gr

FRAME = (
    '<div id="compare" class="k-tab" data-view="new" data-mode="pictures">'
    '<div class="k-bar"><div id="compare-views" role="tablist"></div>'
    '<div id="compare-modes" class="k-switch" role="radiogroup"></div></div>'
    '<div id="compare-notice" class="s-notice"></div>'
    '<form id="compare-form" class="k-form" novalidate></form>'
    '<section id="compare-past"></section><section id="compare-two"></section>'
    '<section id="compare-one"><div id="compare-head"></div><div id="compare-run"></div>'
    '<div id="compare-view"></div><div id="compare-poll"></div></section></div>'
)


def compare_tab() -> None:
    """Build the tab inside the current Blocks; `assets/js/compare` draws its parts from
    `ui.compare_routes`."""
    gr.HTML(
        FRAME,
        js_on_load="window.studio.mountCompare()",
        elem_id="compare-parts",
        apply_default_css=False,
    )
