"""Rules for markdown-it that find LaTeX: `$..$`, `$$..$$`, `\\(..\\)` and `\\[..\\]`."""

import re

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

from ui.parts.mathml import MAX_CHARACTERS

CLOSING = {"$$": "$$", "\\[": "\\]", "\\(": "\\)", "$": "$"}
DOLLAR = re.compile(r"\$(?!\s)((?:\\.|[^$\\])+?)(?<!\s)\$(?!\d)", re.DOTALL)
"""A price is no formula: no blank inside the dollars, no digit after them."""
BLOCK = re.compile(r"\$\$|\\\[")


def find_formulas(parser: MarkdownIt) -> None:
    """Have `parser` make tokens `formula` (inline) and `formula_block`; of a block that is not
    closed yet, `formula_open`."""
    parser.inline.ruler.before("escape", "formula", _inline)
    within = ["paragraph", "reference", "blockquote", "list"]
    parser.block.ruler.before("fence", "formula_block", _block, {"alt": within})


def _inline(state: StateInline, silent: bool) -> bool:
    opening = next((mark for mark in CLOSING if state.src.startswith(mark, state.pos)), None)
    if opening is None:
        return False
    if opening == "$":
        match = DOLLAR.match(state.src, state.pos, state.pos + MAX_CHARACTERS)
        latex, end = (match[1], match.end()) if match else ("", 0)
    else:
        first = state.pos + len(opening)
        last = state.src.find(CLOSING[opening], first, first + MAX_CHARACTERS)
        latex, end = state.src[first : max(last, first)], last + len(opening)
    if not latex.strip():
        return False
    if not silent:
        token = state.push("formula", "math", 0)
        token.content, token.markup = latex, opening
    state.pos = end
    return True


def _block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    first = state.src[state.bMarks[start] + state.tShift[start] : state.eMarks[start]].rstrip()
    if state.is_code_block(start) or not BLOCK.match(first):
        return False
    opening = first[:2]
    line, lines = start, [first[2:]]
    while not lines[-1].rstrip().endswith(CLOSING[opening]) and line + 1 < end:
        line += 1
        if state.isEmpty(line) or state.sCount[line] < state.blkIndent:
            return False
        lines.append(state.src[state.bMarks[line] : state.eMarks[line]])
    latex = "\n".join(lines).rstrip()
    closed = latex.endswith(CLOSING[opening])
    latex = latex.removesuffix(CLOSING[opening])
    if CLOSING[opening] in latex:
        return False
    if not silent:
        state.line = line + 1
        token = state.push("formula_block" if closed else "formula_open", "math", 0)
        token.content, token.map = latex, [start, state.line]
    return True
