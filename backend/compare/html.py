"""Stand-in until the view is merged: same functions, no view."""

from pathlib import Path

from backend.contracts.compare_text import Report

OPENING = b'<script type="application/json" id="report">'
CLOSING = b"</script>"


def write_html(report: Report, folder: Path) -> Path:
    file = folder / "report.html"
    content = report.model_dump_json().replace("<", "\\u003c").encode()
    file.write_bytes(OPENING + content + CLOSING)
    return file


def embedded_report(html: bytes) -> bytes:
    """The JSON of the report in such a file. Raises ValueError where there is none."""
    _, found, rest = html.partition(OPENING)
    content, closed, _ = rest.partition(CLOSING)
    if not (found and closed):
        raise ValueError("no report in this file")
    return content
