"""Calibration text: what is read, refused, held back."""

import json

import pytest

from backend.errors import Code, StudioError
from backend.quantize.language import datasets
from backend.quantize.language.datasets import rows_of
from backend.quantize.language.texts import (
    BUILT_IN,
    MAX_BYTES,
    Row,
    check_overlap,
    chosen_rows,
    digest_of,
    find_rows,
    keep_rows,
    parse_rows,
    preview,
    split_rows,
)

CHAT = {"messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]}


def lines(*values: object) -> bytes:
    return "\n".join(json.dumps(value) for value in values).encode()


def test_every_form_is_read_and_each_row_once() -> None:
    rows = parse_rows(lines({"text": "One  text"}, CHAT, {"text": "one text"}), "a.jsonl")
    assert len(rows) == 2
    assert rows[1].messages == (("user", "hello"), ("assistant", "hi"))
    assert parse_rows(b"first\nline\n\nsecond\n\n\nthird", "a.txt") == (
        Row("first\nline"),
        Row("second"),
        Row("third"),
    )
    assert len(parse_rows(b"one\ntwo", "A.TXT")) == 2, "the lines of a single paragraph"


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("a.jsonl", b"", "empty"),
        ("a.txt", b" \n \n", "empty"),
        ("a.txt", b"\xff\xfe\x00a", "not_text"),
        ("a.txt", b"text\0text", "not_text"),
        ("a.txt", b"x" * (MAX_BYTES + 1), "large"),
        ("a.csv", b"text", "suffix"),
        ("a.jsonl", b"text", "line"),
        ("a.jsonl", lines({"prompt": "x"}), "line"),
        ("a.jsonl", lines({"text": 3}), "line"),
        ("a.jsonl", lines({"messages": [{"role": "user"}]}), "messages"),
    ],
)
def test_what_is_no_text_is_refused_with_the_reason(name: str, data: bytes, problem: str) -> None:
    with pytest.raises(StudioError) as refusal:
        parse_rows(data, name)
    info = refusal.value.info
    assert info.code is Code.CALIBRATION_TEXT_UNREADABLE
    assert info.values["problem"].key == f"quantize.problem.{problem}"  # type: ignore[union-attr]
    assert info.message("ko") != info.message("en")


def test_a_text_of_ones_own_is_kept_by_its_content(tmp_path) -> None:
    rows = parse_rows(lines({"text": "mine"}, CHAT), "a.jsonl")
    digest = keep_rows(tmp_path, rows)
    assert keep_rows(tmp_path, rows) == digest == digest_of(rows)
    assert find_rows(tmp_path, digest) == rows
    for name in ("../../etc/passwd", "0" * 64, "general.jsonl"):
        with pytest.raises(StudioError):
            find_rows(tmp_path, name)


@pytest.mark.parametrize("name", BUILT_IN)
def test_rows_to_score_on_are_held_back_from_the_built_in_texts(name: str, tmp_path) -> None:
    kept, held = chosen_rows(tmp_path, name, None)
    assert len(kept) > len(held) > 10
    check_overlap(kept, held)
    assert {row.plain for row in kept}.isdisjoint(row.plain for row in held)


def test_scoring_on_calibrated_rows_is_refused(tmp_path) -> None:
    words = "is a row of this text, and is long enough not to be a phrase that many texts have"
    rows = tuple(Row(f"{index} {words} {index}") for index in range(20))
    kept, held = split_rows(rows)
    check_overlap(kept, held)
    for scored in (
        (kept[0],),
        (Row(kept[0].text.upper().replace(" ", "  ")),),
        (Row(f"before {kept[0].text} after"),),
        (Row(kept[0].text[:-5]),),
    ):
        with pytest.raises(StudioError) as refusal:
            check_overlap(kept, (*held, *scored))
        assert refusal.value.code is Code.EVALUATION_OVERLAPS
        assert refusal.value.info.values["rows"] == 1
    check_overlap(kept, (Row("a row"),))
    one, other = keep_rows(tmp_path, kept), keep_rows(tmp_path, held)
    assert chosen_rows(tmp_path, one, other) == (kept, held)
    with pytest.raises(StudioError):
        chosen_rows(tmp_path, one, one)


def test_a_preview_warns_of_what_is_missing() -> None:
    english = preview("x", [Row("some English words")])
    assert [each.key for each in english.warnings] == [
        "quantize.warning.short",
        "quantize.warning.no_korean",
    ]
    korean = preview("x", [Row("한국어 텍스트 " * 20_000)])
    assert [each.key for each in korean.warnings] == ["quantize.warning.only_korean"]
    assert korean.hangul_share == 1.0 and len(korean.first[0]) == 300
    assert not preview("general", find_rows(BUILT_IN["general"].parent, "general")).warnings


def test_rows_of_a_data_set_are_texts_or_conversations_each_once() -> None:
    records: list[dict[str, object]] = [
        {"id": 1, "text": "One"},
        {"id": 2, "text": " "},
        {"id": 3, "text": "one"},
    ]
    assert rows_of(records, "a/b", "", 10) == (Row("One"),)
    assert len(rows_of(({"article": str(n)} for n in range(99)), "a/b", "", 7)) == 7
    assert rows_of([CHAT], "a/b", "messages", 1)[0].messages[0] == ("user", "hello")
    refused: list[tuple[list[dict[str, object]], str, str]] = [
        ([], "", "empty"),
        ([{"id": 1, "image": 2}], "", "id, image"),
        ([{"text": 3}], "text", "neither"),
        ([{"text": "a"}], "body", "text"),
    ]
    for wrong, column, problem in refused:
        with pytest.raises(StudioError) as refusal:
            rows_of(wrong, "a/b", column, 8)
        assert refusal.value.code is Code.DATASET_UNREADABLE
        assert problem in str(refusal.value)


@pytest.mark.skipif(datasets.is_installed(), reason="the optional part is installed")
def test_without_the_optional_part_it_is_named() -> None:
    with pytest.raises(StudioError) as refusal:
        datasets.check_installed()
    assert "spark-studio[datasets]" in refusal.value.info.hint()
