"""From submitting a job to its first event in the web process, the model being resident."""

import time

from benchmarks.measure import OWNER, PATIENCE_S, Result, median, native_request, percentile, served

JOBS = 60


def measure() -> list[Result]:
    delays = []
    with served() as (studio, _, _):
        request = native_request(studio, steps=2, width=64, height=64)
        for _ in range(JOBS):
            submitted = time.perf_counter()
            job_id = studio.pictures.generate(request, OWNER)
            studio.jobs.wait(
                job_id, OWNER, PATIENCE_S, until=lambda job: job.first_event_at is not None
            )
            delays.append(1000 * (time.perf_counter() - submitted))
            studio.jobs.wait(job_id, OWNER, PATIENCE_S)
    return [
        Result("submit to first event, median", median(delays), "ms", 60),
        Result("submit to first event, 95th percentile", percentile(delays, 0.95), "ms", 120),
    ]
