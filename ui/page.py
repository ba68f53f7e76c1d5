"""The frame: status bar, tabs, and the queue and history at the side."""

from typing import TYPE_CHECKING

import gradio as gr

from ui.access import FileKeys
from ui.api import public_api
from ui.i18n import label
from ui.tabs.chat import chat_tab
from ui.tabs.compare import compare_tab
from ui.tabs.engines import engines_tab
from ui.tabs.images import images_tab
from ui.tabs.quantize import quantize_tab
from ui.visitors import Page

if TYPE_CHECKING:
    from backend.studio import Studio

BAR = (
    '<header class="s-header"><a class="s-brand" href="/">Spark Studio</a>'
    '<div id="status" class="s-status"></div><div id="host"></div>'
    '<span id="connection" role="status"></span>'
    '<div id="choices" class="s-choices"></div></header><div id="visitors"></div>'
)
SIDE = (
    '<aside class="s-side" id="side"><div id="queue"></div>'
    '<section class="s-panel"><h2 id="history-title"></h2>'
    '<input type="search" id="history-search" class="s-field" autocomplete="off">'
    '<div id="history"></div></section></aside>'
)


def build_page(studio: "Studio", keys: FileKeys) -> gr.Blocks:
    """The whole page; its live parts are drawn by `assets/js` from `ui.live`."""
    page = Page(title="Spark Studio", analytics_enabled=False, fill_width=True)
    with page:
        gr.HTML(BAR, elem_id="bar", apply_default_css=False, js_on_load=None)
        with gr.Row(elem_id="frame"):
            with gr.Tabs(elem_id="tabs"):
                with gr.Tab(label("tab.images"), elem_id="tab-images"):
                    images_tab(studio)
                with gr.Tab(label("tab.chat"), elem_id="tab-chat"):
                    chat_tab()
                with gr.Tab(label("tab.compare"), elem_id="tab-compare"):
                    compare_tab()
                with gr.Tab(label("tab.quantize"), elem_id="tab-quantize"):
                    quantize_tab()
                with gr.Tab(label("tab.engines"), elem_id="tab-engines"):
                    engines_tab(studio)
            gr.HTML(SIDE, elem_id="side-frame", apply_default_css=False, js_on_load=None)
        public_api(studio, keys)
    return page
