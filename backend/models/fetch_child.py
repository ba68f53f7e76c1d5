"""Fetch all that a model needs, from one repository or several, in a child process.

Everything is planned before a byte is fetched: access to every repository, and the disk for all.
"""

from typing import Any

from huggingface_hub.utils import disable_progress_bars

from backend.jobs.children import News, child_main
from backend.models.download import RETRY_WAITS_S, facts_of, fetch
from backend.models.hub import Plan, free_disk, make_plan
from backend.models.needs import Need


def fetch_all(arguments: dict[str, Any], tell: News) -> list[dict[str, Any]]:
    """Fetch `needs`; tells the plans first. `retry_waits_s` may be given.

    Raises StudioError as `make_plan` and `fetch` do.
    """
    disable_progress_bars()
    needs = [Need.model_validate(one) for one in arguments["needs"]]
    plans = [make_plan(need.repo, layout=need.layout) for need in needs]
    free_disk(sum(plan.missing_bytes for plan in plans))
    total = sum(plan.total_bytes for plan in plans)
    here = sum(plan.here_bytes for plan in plans)
    tell({"step": here, "total": total, "plans": [facts_of(plan) for plan in plans]})
    for plan in plans:
        others = here - plan.here_bytes
        on_news = _among(plan, others, total, tell)
        fetch(plan, on_news, lambda: None, arguments.get("retry_waits_s", RETRY_WAITS_S))
        here = others + plan.total_bytes
    return [facts_of(plan) for plan in plans]


def _among(plan: Plan, others: int, total: int, tell: News) -> News:
    """Tell the news of one plan as news of all, `others` being what is here of the other plans."""

    def on_news(news: dict[str, Any]) -> None:
        tell(news | {"repo": plan.repo, "step": news["step"] + others, "total": total})

    return on_news


if __name__ == "__main__":
    child_main(fetch_all)
