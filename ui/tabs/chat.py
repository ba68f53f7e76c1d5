"""The Chat tab: conversations on the left, messages and the composer, settings on the right."""

import gradio as gr

FRAME = (
    '<div id="chat" class="c-chat"><aside id="chat-side"></aside>'
    '<section id="chat-main"><header id="chat-top"></header>'
    '<div id="chat-house" hidden><div id="chat-servers"></div></div>'
    '<div id="chat-notice" class="s-notice"></div><div id="chat-columns"></div>'
    '<form id="chat-composer" novalidate></form></section>'
    '<aside id="chat-settings" hidden></aside>'
    '<div id="chat-said" class="s-hidden" role="status" aria-live="polite"></div></div>'
)


def chat_tab() -> None:
    """Build the tab inside the current Blocks; `assets/js/chat` draws its parts from
    `ui.chat_routes`."""
    gr.HTML(
        FRAME,
        js_on_load="window.studio.mountChat()",
        elem_id="chat-parts",
        apply_default_css=False,
    )
