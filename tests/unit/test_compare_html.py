"""report.html: whole, its own, and safe against what prompts and names say."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from backend.compare.html import embedded_report, write_html
from backend.compare.shown import shown
from backend.contracts.compare import PictureReport
from backend.errors import Code
from tests.comparisons import picture_report, text_report

HOSTILE = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "<!-- <script> \u2028 & &lt;b&gt; \\u003c",
)


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)


def elements(html: str) -> list[str]:
    parser = Elements()
    parser.feed(html)
    return parser.tags


def test_a_report_comes_back_out_with_its_pictures_as_they_were(tmp_path: Path) -> None:
    report = picture_report(tmp_path, prompts=HOSTILE, failed=True, variants=3, title=HOSTILE[0])
    file = write_html(report, tmp_path)
    assert [each.name for each in tmp_path.glob("report*")] == ["report.html"]
    back = PictureReport.model_validate_json(embedded_report(file.read_bytes()))
    assert back.request == report.request
    assert back.variants == report.variants
    assert len(back.pictures) == len(report.pictures) > 0
    for inside, beside in zip(back.pictures, report.pictures):
        head, _, body = inside.file.partition(",")
        assert head == "data:image/png;base64"
        assert base64.b64decode(body) == (tmp_path / beside.file).read_bytes()
    again = write_html(back, tmp_path)
    assert PictureReport.model_validate_json(embedded_report(again.read_bytes())) == back


def test_words_of_others_make_no_elements(tmp_path: Path) -> None:
    plain = write_html(picture_report(tmp_path, prompts=("a", "b", "c")), tmp_path)
    expected = elements(plain.read_text("utf-8"))
    report = picture_report(tmp_path, prompts=HOSTILE, title=HOSTILE[1])
    document = write_html(report, tmp_path).read_text("utf-8")
    assert elements(document) == expected
    assert expected.count("script") == 4


def test_a_picture_is_taken_from_the_comparison_s_folder_alone(tmp_path: Path) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    report = picture_report(folder)
    (tmp_path / "secret.png").write_bytes(b"secret")
    pictures = [each.model_copy(update={"file": "../secret.png"}) for each in report.pictures]
    with pytest.raises(FileNotFoundError):
        write_html(report.model_copy(update={"pictures": tuple(pictures)}), folder)
    assert not (folder / "report.html").exists()


def test_the_script_is_one_without_imports_and_the_policy_lets_nothing_else_run(
    tmp_path: Path,
) -> None:
    document = write_html(text_report(), tmp_path).read_text("utf-8")
    script = document.rpartition("<script>")[2]
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)
    assert "default-src 'none'" in document
    assert "unsafe" not in document.partition("<style>")[0]


def test_failures_are_shown_in_their_reader_s_language() -> None:
    report = text_report()
    assert report.apart_because is not None
    for language in ("en", "ko"):
        said = shown(report, language)
        for error in (said["apart_because"], said["variants"][2]["error"]):
            assert error["code"] == Code.OUT_OF_MEMORY
            assert error["message"] == report.apart_because.message(language)
            assert error["hint"] == report.apart_because.hint(language)
        assert said["variants"][0]["error"] is None


def test_a_file_without_a_report_has_none() -> None:
    with pytest.raises(ValueError, match="no report"):
        embedded_report(b"<html>nothing</html>")
