"""LaTeX as MathML, of which only known elements and attributes pass."""

import re
from functools import lru_cache
from html import unescape
from xml.etree.ElementTree import Element

from ui.parts.markup import esc

MAX_CHARACTERS = 4000
ELEMENTS = frozenset({
    "math", "menclose", "merror", "mfrac", "mi", "mmultiscripts", "mn", "mo", "mover", "mpadded",
    "mphantom", "mprescripts", "mroot", "mrow", "ms", "mspace", "msqrt", "mstyle", "msub",
    "msubsup", "msup", "mtable", "mtd", "mtext", "mtr", "munder", "munderover",
})  # fmt: skip
ATTRIBUTES = frozenset({
    "accent", "accentunder", "columnalign", "depth", "displaystyle", "fence", "form", "height",
    "linebreak", "linethickness", "lspace", "mathbackground", "mathcolor", "mathvariant",
    "maxsize", "minsize", "movablelimits", "notation", "rowspacing", "rspace", "scriptlevel",
    "separator", "stretchy", "symmetric", "voffset", "width",
})  # fmt: skip
VALUE = re.compile(r"[\w#.%+ -]{1,40}")
MACROS = re.compile(r"\\(def|edef|gdef|let|(re)?newcommand|newenvironment)\b")
ENVIRONMENTS = {"aligned": "align*", "gathered": "matrix", "gather": "matrix", "gather*": "matrix"}
"""What the converter does not know, by what it does."""
ENVIRONMENT = re.compile(r"\\(begin|end)\{(aligned|gathered|gather\*?)\}")


class Unreadable(Exception):
    """LaTeX that cannot be shown as a formula."""


@lru_cache(maxsize=1024)
def formula(latex: str, display: bool) -> str:
    """`latex` as a `<math>` element, or as its own source where it cannot be read."""
    try:
        return _formula(latex, display)
    except Exception:  # noqa: BLE001  whatever a model writes is shown, if only as it wrote it
        return source(latex)


def source(latex: str) -> str:
    return f'<code class="c-math-source">{esc(latex.strip())}</code>'


def _formula(latex: str, display: bool) -> str:
    from latex2mathml.converter import convert_to_element

    if len(latex) > MAX_CHARACTERS or MACROS.search(latex):
        raise Unreadable
    known = ENVIRONMENT.sub(lambda m: f"\\{m[1]}{{{ENVIRONMENTS[m[2]]}}}", latex.strip())
    inner = "".join(map(_written, convert_to_element(known)))
    return f'<math display="{"block" if display else "inline"}">{inner}</math>'


def _written(node: Element) -> str:
    """An element as HTML. The converter neither escapes text nor resolves its own entities, so the
    tree is written here."""
    text = unescape(node.text or "")
    if node.tag not in ELEMENTS or text.startswith("\\"):
        raise Unreadable
    attributes = "".join(
        f' {name}="{esc(value)}"'
        for name, value in node.attrib.items()
        if name in ATTRIBUTES and VALUE.fullmatch(value)
    )
    inner = esc(text) + "".join(map(_written, node))
    return f"<{node.tag}{attributes}>{inner}</{node.tag}>"
