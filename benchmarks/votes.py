"""Fifty visitors cast two hundred votes within a minute while the studio paints.

Each visitor opens the ballot as a phone does, fetches the pictures of an item and votes on it, on
four items at moments spread over the minute.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from backend.contracts import VoteQuestion
from backend.studio import Studio
from benchmarks.measure import OWNER, PATIENCE_S, Result, median, native_request, percentile, served

VISITORS, ITEMS, VARIANTS = 50, 4, 2
WITHIN_S = 58.0
"""From the first vote to the last."""
VOTE_MS = 500
STEPS, COUNT, JOBS = 100, 16, 3
PAGE = {"x-studio-page": "1"}


async def vote(address: str, code: str, number: int, began: float) -> list[float]:
    """Milliseconds that each vote of one visitor took."""
    took = []
    async with httpx.AsyncClient(base_url=address, timeout=PATIENCE_S) as phone:
        (await phone.get(f"/vote/{code}")).raise_for_status()
        for item in range(ITEMS):
            due = began + WITHIN_S * (item * VISITORS + number) / (ITEMS * VISITORS)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            for option in range(VARIANTS):
                shown = await phone.get(f"/vote/{code}/picture/{item}/{option}")
                shown.raise_for_status()
            sent = time.perf_counter()
            choice = {"item": item, "option": (item + number) % VARIANTS}
            (await phone.post(f"/vote/{code}", json=choice, headers=PAGE)).raise_for_status()
            took.append(1000 * (time.perf_counter() - sent))
    return took


async def crowd(address: str, code: str) -> list[float]:
    began = time.monotonic()
    voters = (vote(address, code, number, began) for number in range(VISITORS))
    return [each for took in await asyncio.gather(*voters) for each in took]


@contextmanager
def painting(studio: Studio) -> Iterator[None]:
    """Pictures are painted from beginning to end."""
    request = native_request(studio, steps=STEPS, count=COUNT)
    jobs = [studio.pictures.generate(request, OWNER) for _ in range(JOBS)]
    yield
    live = [job for job in jobs if studio.jobs.get(job, OWNER).state.is_live]
    if not live:
        raise RuntimeError("the painting ended before the votes")
    for job in live:
        studio.jobs.cancel(job, OWNER)


def measure() -> list[Result]:
    from tests.compared import make_comparison

    with served() as (studio, address, _):
        report = make_comparison(studio, owner=OWNER, size=256)
        code = studio.votes.open(report.id, VoteQuestion.PREFER, tuple(range(VARIANTS)), OWNER)
        with painting(studio):
            began = time.monotonic()
            took = asyncio.run(crowd(address, code))
            seconds = time.monotonic() - began
        counted = studio.votes.result(code, OWNER).votes
    cast = VISITORS * ITEMS
    return [
        Result(f"{cast} votes of {VISITORS} visitors: lost", cast - counted, "votes", 0),
        Result(f"{cast} votes of {VISITORS} visitors: within", seconds, "s", 60),
        Result("a vote while pictures are painted, median", median(took), "ms"),
        Result("a vote while pictures are painted, 95th", percentile(took, 0.95), "ms", VOTE_MS),
    ]
