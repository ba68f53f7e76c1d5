"""A comparison against the single pictures that it consists of, and what its scores take."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from backend.compare.figures import summarised
from backend.compare.order import Place
from backend.compare.report import new_report
from backend.compare.score import Scorer
from backend.contracts import (
    ComparedPicture,
    CompareRequest,
    CompareVariant,
    GenerateRequest,
    JobSnapshot,
    PictureReport,
    Precision,
    Runtime,
)
from backend.models.catalog import find_model
from backend.settings import Settings
from backend.studio import Studio
from benchmarks.measure import OWNER, PATIENCE_S, Result, median, native_request, served

VARIANTS = (Precision.FP32, Precision.BF16)
SEEDS, TURNS = 4, 3
PICTURES, SIDE = 6, 1024


def measure() -> list[Result]:
    with served() as (studio, _, _):
        ratios = [_turn(studio) for _ in range(TURNS)]
    return [
        Result("comparison_over_its_single_generations", median(ratios), "x", 1.05),
        Result("scores_of_six_1024x1024_pictures", median([_scored_s() for _ in range(3)]), "s", 2),
    ]


def _turn(studio: Studio) -> float:
    """One comparison over the same pictures asked for alone, each variant from unloaded; in these
    only the first encodes the prompt, as in the comparison."""
    plain = native_request(studio, seed=1, count=SEEDS)
    alone_s = 0.0
    for place, precision in enumerate(VARIANTS):
        asked = plain.model_copy(update={"precision": precision})
        job = _done(studio, studio.pictures.generate(asked, OWNER))
        assert job.result is not None
        alone_s += _seconds(job) - (job.result["metrics"]["text_encode_ms"] / 1000 if place else 0)
    together = _done(studio, studio.compare.compare(_comparison(plain), OWNER))
    return _seconds(together) / alone_s


def _comparison(plain: GenerateRequest) -> CompareRequest:
    return CompareRequest(
        model=plain.model,
        variants=tuple(CompareVariant(precision=p, runtime=Runtime.TORCH) for p in VARIANTS),
        prompts=(plain.prompt,),
        seeds=tuple(range(plain.seed, plain.seed + SEEDS)),
        steps=plain.steps,
        guidance=plain.guidance,
        width=plain.width,
        height=plain.height,
    )


def _done(studio: Studio, job_id: str) -> JobSnapshot:
    """The job when it has ended and all that it loaded is unloaded again."""
    job = studio.jobs.wait(job_id, OWNER, PATIENCE_S)
    assert job.result is not None, job.error
    deadline = time.monotonic() + PATIENCE_S
    while (held := studio.desk.resident()) and time.monotonic() < deadline:
        for one in held:
            if not one.in_use:
                studio.models.unload(one.key)
        time.sleep(0.1)
    time.sleep(1.5)  # the worker tells what it holds once a second
    return job if not studio.desk.resident() else _done(studio, job_id)


def _seconds(job: JobSnapshot) -> float:
    assert job.finished_at is not None
    assert job.started_at is not None
    return job.finished_at - job.started_at


def _scored_s() -> float:
    """PSNR and SSIM of five pairs from their PNG files, on the threads that a job uses."""
    with TemporaryDirectory(prefix="studio-compare-") as folder:
        report = _painted(Path(folder))
        scorer = Scorer(Path(folder))
        since = time.perf_counter()
        scorer.begin(report)
        scores = scorer.finish(lambda done, total: None)
        spent = time.perf_counter() - since
        scorer.close()
        assert len(scores) == PICTURES - 1
        return spent


def _painted(folder: Path) -> PictureReport:
    """A report of six variants with a picture each: a smooth one, and the same with noise."""
    random = np.random.default_rng(0)
    rough = Image.fromarray(random.integers(0, 256, (32, 32, 3), np.uint8))
    smooth = np.asarray(rough.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.int16)
    settings = Settings(home=folder)
    variants = [
        CompareVariant(precision=precision, runtime=Runtime.TORCH)
        for precision in list(Precision)[:PICTURES]
    ]
    request = _comparison(_plain()).model_copy(
        update={"variants": tuple(variants), "seeds": (0,), "width": SIDE, "height": SIDE}
    )
    entry = find_model(settings, request.model)
    report = new_report(request, entry, (), job="", title="", similarity_model=None)
    pictures = []
    for index in range(PICTURES):
        place = Place(index, 0, 0)
        noisy = smooth + random.integers(-index, index + 1, smooth.shape)
        picture = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
        picture.save(folder / place.file, compress_level=1)
        pictures.append(
            ComparedPicture(
                variant=index,
                prompt=0,
                seed=0,
                file=place.file,
                width=SIDE,
                height=SIDE,
                warm=False,
                total_s=1,
                step_ms=1,
                decode_ms=1,
            )
        )
    return summarised(report.model_copy(update={"pictures": tuple(pictures)}))


def _plain() -> GenerateRequest:
    return GenerateRequest(prompt="a ring", seed=0, steps=1, guidance=1, width=SIDE, height=SIDE)
