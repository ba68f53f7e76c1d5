"""The Chat tab: so far, its servers."""

import gradio as gr


def chat_tab() -> None:
    gr.HTML(
        '<div id="chat-servers"></div>',
        js_on_load="window.studio.mountServers()",
        elem_id="chat-servers-frame",
        apply_default_css=False,
    )
