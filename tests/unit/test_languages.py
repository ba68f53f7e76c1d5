"""Both languages are complete, say the same things, and every text is used."""

import ast
import json
import re
import string
from pathlib import Path

import pytest

from backend.errors import Code
from backend.language import CATALOGUES, LANGUAGES, catalogue

ROOT = CATALOGUES.parent.parent
FILES = sorted(file.name for file in (CATALOGUES / "en").glob("*.json"))
SOURCES = [ROOT / "app.py", *(ROOT / "backend").rglob("*.py"), *(ROOT / "ui").rglob("*.py")]


def placeholders(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def texts_in_sources() -> set[str]:
    """Every string in the sources; a placeholder of an f-string becomes `*`."""
    found: set[str] = set()
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (
                    part.value if isinstance(part, ast.Constant) else "*" for part in node.values
                )
                found.add("".join(str(part) for part in parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_files_and_no_key_twice(language: str) -> None:
    assert sorted(file.name for file in (CATALOGUES / language).glob("*.json")) == FILES
    keys = [
        key
        for name in FILES
        for key, _ in json.loads(
            (CATALOGUES / language / name).read_text(encoding="utf-8"), object_pairs_hook=list
        )
    ]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("name", FILES)
def test_the_same_keys_and_placeholders_in_every_language(name: str) -> None:
    english, korean = (
        json.loads((CATALOGUES / language / name).read_text(encoding="utf-8"))
        for language in ("en", "ko")
    )
    assert list(english) == list(korean), "keys differ, or their order does"
    for key, text in english.items():
        assert placeholders(text) == placeholders(korean[key]), key
        assert korean[key].strip()


def test_korean_texts_are_korean() -> None:
    shared = set(catalogue("en").items()) & set(catalogue("ko").items())
    assert not shared


def test_every_error_has_a_message_and_a_hint() -> None:
    for code in Code:
        for part in ("message", "hint"):
            assert f"error.{code}.{part}" in catalogue("en")


def test_every_text_is_used() -> None:
    scripts = "".join(file.read_text() for file in (ROOT / "assets" / "js").rglob("*.js"))
    patterns = [
        re.compile(re.escape(text).replace(r"\*", r"[\w.]+"))
        for text in texts_in_sources()
        if re.fullmatch(r"\w+[\w.*]*", text)
    ]
    unused = []
    for key in catalogue("en"):
        short = re.sub(r"^(label|script)\.", "", key)
        if key.startswith("script."):
            used = re.search(rf"\b{short}\b", scripts) is not None
        else:
            used = any(p.fullmatch(key) or p.fullmatch(short) for p in patterns)
        if not used:
            unused.append(key)
    assert not unused


def test_every_text_that_is_asked_for_exists() -> None:
    """Plain keys given to `t`, `say`, `text`, `label` and `Text`; composed ones cannot be seen."""
    for source in SOURCES:
        for node in ast.walk(ast.parse(Path(source).read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = getattr(node.func, "id", "")
            first = node.args[0]
            if name in ("t", "say", "text", "label") and isinstance(first, ast.Constant):
                key = f"label.{first.value!s}" if name == "label" else str(first.value)
                assert key in catalogue("en"), f"{source.name}: {key}"
