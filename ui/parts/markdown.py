"""What a model writes, as HTML: Markdown without HTML in it, highlighted code, formulas.

Nothing in it can run or load anything: links go to http, https and mailto only, and a picture is
shown as a link to it.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from ui.i18n import t
from ui.parts.markdown_math import find_formulas
from ui.parts.markup import button, esc
from ui.parts.mathml import formula, source

MAX_HIGHLIGHTED = 50_000
ADDRESS = re.compile(r"(https?://|mailto:)", re.IGNORECASE)
HEADING_BELOW = 2
"""A message's first-level heading is a third-level one of the page."""
CODE = HtmlFormatter(nowrap=True, classprefix="h-")


class Renderer(RendererHTML):
    """The HTML of a message's tokens; `env["language"]` is the reader's."""

    def fence(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        token = tokens[idx]
        name = token.info.split(maxsplit=1)[0] if token.info.strip() else ""
        copy = button(t("chat.code.copy", env["language"]), "copy", symbol="copy", kind="quiet")
        return (
            f'<div class="c-code"><span>{esc(name[:40])}</span>{copy}'
            f'<pre tabindex="0"><code>{highlighted(token.content, name)}</code></pre></div>'
        )

    def code_block(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return self.fence(tokens, idx, options, env)

    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        token = tokens[idx]
        words = self.renderInlineAsText(token.children or (), options, env)
        address = str(token.attrs.get("src", ""))
        return f"<a{_link(address)}>{esc(words or address)}</a>"

    def link_open(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        return f"<a{_link(str(tokens[index].attrs.get('href', '')))}>"

    def table_open(self, *_: Any) -> str:
        return '<div class="c-table" tabindex="0"><table>'

    def table_close(self, *_: Any) -> str:
        return "</table></div>"

    def formula(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        token = tokens[index]
        return formula(token.content, token.markup in ("$$", "\\["))

    def formula_block(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        return f'<div class="c-formula" tabindex="0">{formula(tokens[index].content, True)}</div>'

    def formula_open(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        return f'<div class="c-formula">{source(tokens[index].content)}</div>'


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}, renderer_cls=Renderer)
    parser.enable(["table", "strikethrough"])
    parser.validateLink = lambda url: ADDRESS.match(url) is not None  # type: ignore[method-assign]
    find_formulas(parser)
    return parser


PARSER = _parser()


def _link(address: str) -> str:
    return f' href="{escapeHtml(address)}" target="_blank" rel="noopener noreferrer"'


def highlighted(code: str, name: str) -> str:
    """`code` in the language called `name`, as far as both are known."""
    if name and len(code) <= MAX_HIGHLIGHTED:
        try:
            lexer = get_lexer_by_name(name, stripnl=False, ensurenl=False)
        except ClassNotFound:
            return esc(code)
        return str(highlight(code, lexer, CODE))
    return esc(code)


Block = tuple[int, str]
"""The line in which a top-level block begins, and its HTML."""


def blocks(text: str, env: dict[str, Any]) -> list[Block]:
    return [
        ((group[0].map or [0])[0], PARSER.renderer.render(group, PARSER.options, env))
        for group in _groups(PARSER.parse(text, env))
    ]


def _groups(tokens: Iterable[Token]) -> list[list[Token]]:
    """Tokens by the top-level block that they are of."""
    groups: list[list[Token]] = []
    depth = 0
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + HEADING_BELOW)}"
        if depth == 0:
            groups.append([])
        groups[-1].append(token)
        depth += token.nesting
    return groups


def plain(text: str) -> str:
    """`text` with the line ends that Markdown counts by."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


@lru_cache(maxsize=512)
def markdown(text: str, language: str) -> str:
    """A whole message: a `div` for each of its top-level blocks."""
    return in_divs(html for _, html in blocks(plain(text), {"language": language}))


def in_divs(parts: Iterable[str]) -> str:
    return "".join(f'<div class="c-block">{part}</div>' for part in parts)
