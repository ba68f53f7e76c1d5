"""Two doors to one catalogue: `label` for Gradio's static labels, `t` for what is made later."""

from functools import cache

import gradio as gr
from fastapi import Request
from gradio.i18n import I18nData

from backend.language import LANGUAGES, catalogue
from backend.language import say as t

__all__ = ["LANGUAGES", "LANGUAGE_COOKIE", "label", "language_of", "t", "translations"]

LANGUAGE_COOKIE = "studio_language"
LANGUAGE_NAMES = {"en": "English", "ko": "한국어"}
LABELS = "label."


@cache
def translations() -> gr.I18n:
    """What Gradio's own front end translates: every text whose key starts with `label.`"""
    return gr.I18n(
        **{
            language: {
                key: value for key, value in catalogue(language).items() if key.startswith(LABELS)
            }
            for language in LANGUAGES
        }
    )


def label(name: str) -> I18nData:
    """The text `label.<name>` in the reader's language, for a Gradio label or placeholder."""
    if LABELS + name not in catalogue(LANGUAGES[0]):
        raise KeyError(LABELS + name)
    return I18nData(LABELS + name)


def language_of(request: Request) -> str:
    """The language that was chosen on the page, else the browser's first one that we speak."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen in LANGUAGES:
        return chosen
    accepted = []
    for part in request.headers.get("accept-language", "").split(","):
        tag, _, weight = part.partition(";q=")
        try:
            accepted.append((-float(weight or 1), tag.strip().lower().split("-")[0]))
        except ValueError:
            continue
    known = (tag for _, tag in sorted(accepted, key=lambda pair: pair[0]) if tag in LANGUAGES)
    return next(known, LANGUAGES[0])
