"""Gradio's theme variables, each set to a token of `assets/css/tokens.css`.

The tokens hold both the light and the dark design; the theme itself is the same in both.
"""

import gradio as gr
from gradio.themes.utils import fonts

# Gradio bundles a SemiBold of IBM Plex Sans that is condensed and holds 136 glyphs: Bold, then.
SANS = [
    fonts.LocalFont("IBM Plex Sans", weights=(400, 700)),
    "Pretendard",
    "Apple SD Gothic Neo",
    "Malgun Gothic",
    "Noto Sans KR",
    "NanumGothic",
    "system-ui",
    "sans-serif",
]
MONO = [fonts.LocalFont("IBM Plex Mono", weights=(400, 700)), "D2Coding", "monospace"]


def studio_theme() -> gr.themes.Base:
    theme = gr.themes.Base(
        spacing_size=gr.themes.sizes.spacing_sm,
        radius_size=gr.themes.sizes.radius_sm,
        text_size=gr.themes.sizes.text_sm,
        font=SANS,  # type: ignore[arg-type]
        font_mono=MONO,  # type: ignore[arg-type]
    )
    dark = {f"{name}_dark": value for name, value in _VALUES.items()}
    return theme.set(**_VALUES, **{name: dark[name] for name in dark if hasattr(theme, name)})


_VALUES = {
    "body_background_fill": "var(--s-ground)",
    "body_text_color": "var(--s-text)",
    "body_text_color_subdued": "var(--s-muted)",
    "background_fill_primary": "var(--s-panel)",
    "background_fill_secondary": "var(--s-ground)",
    "border_color_primary": "var(--s-line)",
    "border_color_accent": "var(--s-accent)",
    "color_accent": "var(--s-accent)",
    "color_accent_soft": "var(--s-accent-soft)",
    "link_text_color": "var(--s-accent)",
    "block_background_fill": "transparent",
    "block_border_width": "0px",
    "block_shadow": "none",
    "block_padding": "0px",
    "block_radius": "0px",
    "block_label_background_fill": "transparent",
    "block_label_text_color": "var(--s-muted)",
    "block_title_text_color": "var(--s-muted)",
    "block_title_text_size": "12px",
    "block_title_text_weight": "400",
    "block_info_text_color": "var(--s-muted)",
    "panel_background_fill": "transparent",
    "panel_border_width": "0px",
    "input_background_fill": "var(--s-field)",
    "input_background_fill_focus": "var(--s-field)",
    "input_border_color": "var(--s-edge)",
    "input_border_color_focus": "var(--s-accent)",
    "input_border_width": "1px",
    "input_placeholder_color": "var(--s-muted)",
    "input_shadow": "none",
    "input_shadow_focus": "none",
    "input_text_size": "13px",
    "button_primary_background_fill": "var(--s-accent)",
    "button_primary_background_fill_hover": "var(--s-accent-strong)",
    "button_primary_text_color": "var(--s-on-accent)",
    "button_primary_border_color": "transparent",
    "button_secondary_background_fill": "var(--s-field)",
    "button_secondary_background_fill_hover": "var(--s-hover)",
    "button_secondary_text_color": "var(--s-text)",
    "button_secondary_border_color": "var(--s-edge)",
    "button_border_width": "1px",
    "button_secondary_border_color_hover": "var(--s-edge)",
    "button_large_radius": "var(--s-radius)",
    "button_small_radius": "var(--s-radius)",
    "button_large_text_weight": "600",
    "slider_color": "var(--s-accent)",
    "checkbox_background_color": "var(--s-field)",
    "checkbox_background_color_selected": "var(--s-accent)",
    "checkbox_border_color": "var(--s-edge)",
    "checkbox_border_color_selected": "var(--s-accent)",
    "checkbox_border_color_focus": "var(--s-accent)",
    "checkbox_label_background_fill": "var(--s-field)",
    "checkbox_label_background_fill_hover": "var(--s-hover)",
    "checkbox_label_background_fill_selected": "var(--s-accent-soft)",
    "checkbox_label_border_color": "var(--s-edge)",
    "checkbox_label_border_color_selected": "var(--s-accent)",
    "checkbox_label_border_width": "1px",
    "checkbox_label_padding": "4px 8px",
    "checkbox_label_text_color": "var(--s-text)",
    "error_background_fill": "var(--s-panel)",
    "error_border_color": "var(--s-bad)",
    "error_text_color": "var(--s-bad)",
}
