"""What stands above one comparison: its name, and what can be done with it."""

from backend.contracts import JobSnapshot, JobState
from ui.i18n import t
from ui.parts.compare_list import delete_button
from ui.parts.job_card import job_card
from ui.parts.markup import button, esc, icon


def own_head(job: JobSnapshot, title: str, language: str) -> str:
    """Of one's own, while it runs and after."""
    live, identity = job.state.is_live, job.id
    rename = button(
        t("page.compare.rename", language),
        "compare-rename",
        symbol="edit",
        kind="quiet",
        compact=True,
        id=identity,
    )
    done = job.state is JobState.SUCCEEDED
    actions = ""
    if done:
        actions = _link(f"/present/{identity}", "present", "eye", language) + button(
            t("page.compare.blind", language), "compare-blind", symbol="check"
        )
    if not live:
        repeat, again = (t(f"page.compare.{name}", language) for name in ("repeat", "as_new"))
        actions += button(repeat, "compare-repeat", symbol="retry", id=identity)
        actions += button(again, "compare-as-new", symbol="settings", kind="quiet", id=identity)
        actions += delete_button(identity, language)
    return _head(
        title, rename, actions + (_downloads(identity, language) if done else ""), language
    )


def others_head(title: str, name: str, language: str) -> str:
    """Of a report that was opened from a file called `name`."""
    told = t("page.compare.from_file", language, name=name)
    return _head(title, f"<small>{esc(told)}</small>", "", language)


def _head(title: str, more: str, actions: str, language: str) -> str:
    back = button(t("page.compare.back", language), "compare-back", symbol="back", kind="quiet")
    return (
        f'{back}<div class="k-name"><h2 dir="auto" tabindex="-1">{esc(title)}</h2>{more}</div>'
        f'<div class="s-row k-actions">{actions}</div>'
    )


def _downloads(identity: str, language: str) -> str:
    items = "".join(
        f'<li><a class="s-button" href="/studio/compare/files/{esc(identity)}/{name}" download>'
        f"{esc(t(f'page.compare.download.{key}', language))}</a></li>"
        for name, key in (("report.html", "html"), ("report.json", "json"), ("all.zip", "all"))
    )
    return (
        f'<details class="s-menu" data-key="downloads"><summary class="s-button">'
        f"{icon('download')}<span>{esc(t('page.compare.downloads', language))}</span></summary>"
        f"<ul>{items}</ul></details>"
    )


def _link(address: str, key: str, symbol: str, language: str) -> str:
    return (
        f'<a class="s-button" href="{esc(address)}" target="_blank" rel="noopener">{icon(symbol)}'
        f"<span>{esc(t(f'page.compare.{key}', language))}</span></a>"
    )


def run_card(job: JobSnapshot | None, language: str, now: float) -> str:
    """Where it stands while it is not done, with Stop as long as it runs."""
    if job is None or job.state is JobState.SUCCEEDED:
        return ""
    stop = ""
    if job.state.is_live:
        words = t("label.stop", language)
        stop = button(words, "cancel", symbol="stop", kind="k-stop", job=job.id)
    return (
        f'<article class="k-run" data-key="{esc(job.id)}" data-job="{esc(job.id)}" '
        f'data-state="{esc(job.state)}">{job_card(job, language, now)}{stop}</article>'
    )
