"""Twenty open pages following one job: how late its events reach them, and what they cost it."""

import json
import threading
import time
import urllib.parse
import urllib.request

from backend.contracts import JobEvent
from backend.studio import Studio
from benchmarks.measure import OWNER, PATIENCE_S, Result, median, native_request, percentile, served

VIEWERS = 20
INTERVAL_S = 1 / 3
"""How often an open page asks while its job runs."""
TURNS = 3
STEPS = 100


class Page(threading.Thread):
    """An open page that asks for news; when it first saw each progress."""

    def __init__(self, address: str, cookie: str, delay_s: float) -> None:
        super().__init__(daemon=True)
        self.address, self.cookie, self.delay_s = address, cookie, delay_s
        self.seen_at: dict[float, float] = {}
        self.done = threading.Event()

    def run(self) -> None:
        time.sleep(self.delay_s)
        marks = ""
        while not self.done.is_set():
            started = time.monotonic()
            query = urllib.parse.urlencode({"seen": marks})
            request = urllib.request.Request(
                f"{self.address}/studio/live?{query}", headers={"Cookie": self.cookie}
            )
            with urllib.request.urlopen(request, timeout=10) as answer:
                news = json.loads(answer.read())
            if news["progress"] is not None:
                self.seen_at.setdefault(round(news["progress"], 6), time.time())
            marks = ",".join(f"{name}.{mark}" for name, mark in news["marks"].items())
            time.sleep(max(0.0, INTERVAL_S - (time.monotonic() - started)))


def visitor(address: str) -> tuple[str, str]:
    """A visitor's cookie and the owner that it stands for."""
    with urllib.request.urlopen(address) as answer:
        cookie = answer.headers["set-cookie"].split(";")[0]
    return cookie, f"visitor:{cookie.split('=', 1)[1]}"


def run_job(studio: Studio, owner: str) -> tuple[float, dict[float, float]]:
    """Seconds that a job took in its worker, and when each progress happened."""
    job_id = studio.pictures.generate(native_request(studio, steps=STEPS), owner)
    job = studio.jobs.wait(job_id, owner, PATIENCE_S)
    events = studio.desk.queue.client.read_stream(f"{job_id}.1", "events")
    happened: dict[float, float] = {}
    for event in map(JobEvent.model_validate, events):
        if event.phase == "denoise" and event.step:
            happened.setdefault(round(event.step / event.total, 6), event.at)
    assert job.result is not None
    return job.result["metrics"]["total_s"], happened


def measure() -> list[Result]:
    alone, watched, delays = [], [], []
    with served() as (studio, address, _):
        cookie, owner = visitor(address)
        for _ in range(TURNS):
            alone.append(run_job(studio, OWNER)[0])
            pages = [Page(address, cookie, INTERVAL_S * n / VIEWERS) for n in range(VIEWERS)]
            for page in pages:
                page.start()
            seconds, happened = run_job(studio, owner)
            watched.append(seconds)
            for page in pages:
                page.done.set()
                page.join()
                delays += [
                    1000 * (at - happened[progress])
                    for progress, at in page.seen_at.items()
                    if progress in happened
                ]
    return [
        Result(f"event delay of {VIEWERS} pages, median", median(delays), "ms"),
        Result(f"event delay of {VIEWERS} pages, 95th", percentile(delays, 0.95), "ms", 500),
        Result(
            f"job with {VIEWERS} pages over the job alone",
            median(watched) / median(alone),
            "x",
            1.1,
        ),
    ]
