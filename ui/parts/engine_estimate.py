"""What a build will need, before it begins."""

from backend.contracts import BuildEstimate
from backend.language import human_bytes
from ui.i18n import t
from ui.parts.engine_words import (
    edition_name_of,
    module_name,
    precision_mark,
    rough_seconds,
    target_words,
)
from ui.parts.error_card import error_card
from ui.parts.markup import esc, icon


def estimate_panel(estimate: BuildEstimate, language: str) -> str:
    """The needs as a list, where the engines will run, and the button or why there is none."""
    if estimate.problem is not None:
        title = t("page.build.refused", language)
        card = error_card(estimate.problem, language, title=title, key="refused")
        return f'<div class="e-estimate" data-key="estimate" id="estimate">{card}</div>'
    rows = "".join(
        f"<div><dt>{esc(t(f'page.build.{name}', language))}</dt><dd>{value}</dd></div>"
        for name, value in _rows(estimate, language)
    )
    again = estimate.to_build == 0
    label = t("page.build.nothing" if again else "page.build.go", language)
    return (
        f'<div class="e-estimate" data-key="estimate" id="estimate"><dl>{rows}</dl>'
        f'<ul class="e-plan">{_plan(estimate, language)}</ul>'
        f'<button type="submit" class="e-primary" id="build-go"{" disabled" if again else ""}>'
        f"{esc(label)}</button></div>"
    )


def _rows(estimate: BuildEstimate, language: str) -> list[tuple[str, str]]:
    where = target_words(estimate.target, estimate.target_name, language)
    if not estimate.runs_here:
        where = t("page.build.elsewhere", language, target=where)
    rows = [("for", f'<b class="e-where">{esc(where)}</b>')]
    edition = edition_name_of(estimate.edition)
    rows.append(("with", esc(edition)))
    if estimate.download_bytes:
        rows.append(("download", esc(human_bytes(estimate.download_bytes))))
    if estimate.to_build:
        disk = t(
            "page.build.disk_needed",
            language,
            needed_bytes=estimate.onnx_bytes + estimate.engine_bytes,
            free_bytes=estimate.disk_free_bytes,
        )
        rows += [
            ("disk", esc(disk)),
            (
                "memory",
                esc(
                    t(
                        "page.build.memory_needed",
                        language,
                        needed_bytes=estimate.memory_bytes,
                        total_bytes=estimate.memory_limit_bytes,
                    )
                ),
            ),
            ("time", esc(time_words(estimate, language))),
        ]
    return rows


def time_words(estimate: BuildEstimate, language: str) -> str:
    if estimate.seconds is None:
        return t("page.build.time_unknown", language)
    return t(
        f"page.build.time_from_{estimate.seconds_from}",
        language,
        time=rough_seconds(estimate.seconds),
    )


def _plan(estimate: BuildEstimate, language: str) -> str:
    return "".join(
        f'<li data-there="{str(one.there).lower()}">'
        f"{icon('check') if one.there else icon('build')}"
        f"<span>{esc(module_name(one.module, language))}</span>{precision_mark(one.precision)}"
        f'<small class="s-num">{esc(_size(one.there, one.size_bytes, language))}</small></li>'
        for one in estimate.engines
    )


def _size(there: bool, size: int, language: str) -> str:
    key = "page.build.there" if there else "page.build.about"
    return t(key, language, size_bytes=size)
