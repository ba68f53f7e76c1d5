"""The stage of a tab: the job that is looked at, while it runs and with its results."""

import base64
import json
from pathlib import Path

from backend.contracts import GenerateRequest, GenerateResult, JobKind, JobSnapshot, JobState
from ui.files import file_address
from ui.i18n import t
from ui.parts.compare_with import compare_button, picture_fields
from ui.parts.job_card import job_card
from ui.parts.markup import button, esc, icon
from ui.parts.metrics_line import metrics_line


def stage(job: JobSnapshot, language: str, now: float) -> str:
    """Pictures, progress or failure of `job`, its prompt, and what can be done with it."""
    done = job.state == JobState.SUCCEEDED and job.kind == JobKind.GENERATE
    return (
        f'<article class="s-stage" data-key="{esc(job.id)}" data-job="{esc(job.id)}" '
        f'data-state="{esc(job.state)}">'
        f"{_pictures(job, language)}"
        f"{_result_line(job, language) if done else job_card(job, language, now)}"
        f'<p class="s-prompt" dir="auto">{esc(job.title)}</p>'
        f"{_actions(job, language)}</article>"
    )


def _pictures(job: JobSnapshot, language: str) -> str:
    if job.kind != JobKind.GENERATE:
        return ""
    count = int(job.request["count"])
    tiles = [_picture(job, index, language) for index in range(len(job.images))]
    if job.state == JobState.RUNNING and len(tiles) < count:
        tiles.append(_preview(job, language))
    if not tiles:
        return ""
    ratio = job.request["width"] / job.request["height"]
    return (
        f'<div class="s-pictures" data-count="{min(count, 2)}" style="--ratio:{ratio:.4f}">'
        f"{''.join(tiles)}</div>"
    )


def _picture(job: JobSnapshot, index: int, language: str) -> str:
    image = job.images[index]
    address = file_address(job, image)
    name = t("page.picture.alt", language, prompt=job.title[:200], seed=str(image.seed))
    size = f'width="{image.width}" height="{image.height}"'
    opened = esc(t("page.picture.open", language))
    download = esc(t("page.picture.download", language))
    return (
        f'<figure data-key="{esc(address)}"><button type="button" class="s-open" '
        f'data-action="view" data-index="{index}" aria-label="{opened}">'
        f'<img src="{esc(address)}" alt="{esc(name)}" {size}></button>'
        f'<a class="s-button s-download" href="{esc(address)}?download=1" download '
        f'aria-label="{download}" title="{download}">{icon("download")}</a></figure>'
    )


def _preview(job: JobSnapshot, language: str) -> str:
    """What the picture looks like so far: a few dozen pixels, drawn large."""
    picture = ""
    if job.preview:
        try:
            data = base64.b64encode(Path(job.preview).read_bytes()).decode()
        except FileNotFoundError:  # replaced by the next one or by the picture itself
            data = ""
        if data:
            alt = esc(t("page.picture.preview", language))
            picture = f'<img class="s-preview" src="data:image/png;base64,{data}" alt="{alt}">'
    return f'<figure data-key="preview"><div class="s-open">{picture}</div></figure>'


def _result_line(job: JobSnapshot, language: str) -> str:
    return metrics_line(job, GenerateResult.model_validate(job.result).metrics, language)


def _actions(job: JobSnapshot, language: str) -> str:
    buttons = ""
    if job.kind == JobKind.GENERATE:
        buttons = button(
            t("page.job.reuse", language), "reuse", symbol="reuse", request=json.dumps(job.request)
        )
        asked = GenerateRequest.model_validate(job.request)
        buttons += compare_button(picture_fields(asked), language)
    if not job.state.is_live:
        buttons += button(
            t("page.job.delete", language),
            "delete",
            symbol="trash",
            kind="quiet",
            job=job.id,
            confirm=t("page.job.delete_sure", language),
        )
    return f'<div class="s-row s-actions">{buttons}</div>'
