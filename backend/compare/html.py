"""`report.html`: a comparison with its view and its pictures in one file that asks for nothing."""

import base64
import hashlib
import json
import re
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from backend.compare.shown import error_texts
from backend.contracts.compare import PictureReport
from backend.contracts.compare_text import Report
from backend.language import CATALOGUES, LANGUAGES, catalogue, say

ASSETS = CATALOGUES.parent
STYLES = ("tokens", "compare", "compare-stage", "compare-report")
ENTRY = "report"
TEXTS = "script."
IMPORT = re.compile(r'^import (\{[^}]*\}|\* as \w+) from "\./([\w-]+)\.js";\n', re.MULTILINE)
EXPORT = re.compile(r"^export ((?:async )?(?:function|const|class) (\w+))", re.MULTILINE)
OPENING = '<script type="application/json" id="report">'
CLOSING = "</script>"


def write_html(report: Report, folder: Path) -> Path:
    """`report.html` in the comparison's folder, whole or not at all.

    Pictures go in as the bytes of their PNG files. Raises OSError for one that cannot be read.
    """
    file = folder / "report.html"
    unfinished = file.with_suffix(".html.part")
    unfinished.write_text(document(_with_pictures(report, folder)), encoding="utf-8")
    return unfinished.replace(file)


def embedded_report(html: bytes) -> bytes:
    """The JSON of the report in such a file. Raises ValueError where there is none."""
    _, found, rest = html.partition(OPENING.encode())
    content, closed, _ = rest.partition(CLOSING.encode())
    if not (found and closed):
        raise ValueError("no report in this file")
    return content


def document(report: Report) -> str:
    """The file's text; pictures must be `data:` URLs already."""
    script, style = _script(), _style()
    policy = (
        "default-src 'none'; img-src data: blob:; base-uri 'none'; form-action 'none'; "
        f"script-src '{_digest(script)}'; style-src '{_digest(style)}'"
    )
    texts = {language: _texts(language) for language in LANGUAGES}
    errors = {language: error_texts(report, language) for language in LANGUAGES}
    needs_script = " ".join(say("compare.report.needs_script", language) for language in LANGUAGES)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(report.title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f'<noscript>{escape(needs_script)}</noscript>\n<main id="view"></main>\n'
        f"{OPENING}{_json(report.model_dump(mode='json'))}{CLOSING}\n"
        f'<script type="application/json" id="errors">{_json(errors)}</script>\n'
        f'<script type="application/json" id="texts">{_json(texts)}</script>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _with_pictures(report: Report, folder: Path) -> Report:
    if not isinstance(report, PictureReport):
        return report
    pictures = tuple(
        picture.model_copy(update={"file": _data_url(folder / Path(picture.file).name)})
        if not picture.file.startswith("data:")
        else picture
        for picture in report.pictures
    )
    return report.model_copy(update={"pictures": pictures})


def _data_url(png: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(png.read_bytes()).decode()}"


def _json(value: Any) -> str:
    """JSON that cannot end the element that it is in."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def _texts(language: str) -> dict[str, str]:
    return {
        key.removeprefix(TEXTS): words
        for key, words in catalogue(language).items()
        if key.startswith(f"{TEXTS}compare.")
    }


def _digest(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


@cache
def _style() -> str:
    return "".join((ASSETS / "css" / f"{name}.css").read_text("utf-8") for name in STYLES)


@cache
def _script() -> str:
    """The page's own modules as one plain script: browsers refuse imports between local files."""
    modules: dict[str, str] = {}
    _bundle(ENTRY, modules)
    return "".join(
        f"const {_variable(name)} = (() => {{\n{body}}})();\n" for name, body in modules.items()
    )


def _bundle(name: str, modules: dict[str, str]) -> None:
    """Adds a module to `modules` after all that it imports, as the body of a function that returns
    what it exports."""
    source = (ASSETS / "js" / "compare" / f"{name}.js").read_text("utf-8")
    for _, imported in IMPORT.findall(source):
        if imported not in modules:
            _bundle(imported, modules)
    exported = ", ".join(found for _, found in EXPORT.findall(source))
    body = IMPORT.sub(_taken, source)
    modules[name] = EXPORT.sub(r"\1", body) + f"return {{ {exported} }};\n"


def _taken(found: re.Match[str]) -> str:
    return f"const {found[1].removeprefix('* as ')} = {_variable(found[2])};\n"


def _variable(module: str) -> str:
    return f"module_{module.replace('-', '_')}"
