"""A comparison against the single pictures that it consists of, what its scores take, and what its
difference maps take in the browser."""

import base64
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

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
from benchmarks.page import CHROMIUM, FLAGS

VARIANTS = (Precision.FP32, Precision.BF16)
SEEDS, TURNS = 4, 3
TOLD_S = 1.5
"""Within this a worker tells what it holds."""
PICTURES, SIDE = 6, 1024


def measure() -> list[Result]:
    with served() as (studio, address, _):
        ratios = [_turn(studio) for _ in range(TURNS)]
        maps = _mapped_s(address)
    return [
        Result("comparison_over_its_single_generations", median(ratios), "x", 1.05),
        Result("scores_of_six_1024x1024_pictures", median([_scored_s() for _ in range(3)]), "s", 2),
        Result("difference_maps_of_six_1024x1024_pictures", maps, "s", 2),
    ]


def _turn(studio: Studio) -> float:
    """One comparison over the same pictures asked for one by one, each variant from unloaded; of
    these only the first one's encoding of the prompt counts, which the comparison does as well."""
    plain = native_request(studio, seed=1)
    alone_s = 0.0
    for place, precision in enumerate(VARIANTS):
        _unload(studio)
        for index in range(SEEDS):
            asked = plain.model_copy(update={"precision": precision, "seed": plain.seed + index})
            job = _done(studio, studio.pictures.generate(asked, OWNER))
            assert job.result is not None
            first = place == index == 0
            alone_s += _seconds(job)
            alone_s -= 0 if first else job.result["metrics"]["text_encode_ms"] / 1000
    _unload(studio)
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
    job = studio.jobs.wait(job_id, OWNER, PATIENCE_S)
    assert job.result is not None, job.error
    return job


def _unload(studio: Studio) -> None:
    """Have all models let go, and wait until the worker says so."""
    time.sleep(TOLD_S)
    while held := studio.desk.resident():
        for one in held:
            if not one.in_use:
                studio.models.unload(one.key)
        time.sleep(TOLD_S)


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


MAPS = """async (sources) => {
  const { src } = document.querySelector('script[src$="studio.js"]');
  const file = src.replace("studio.js", "compare/difference.js");
  const { difference, fullScale, paintDifference, pixels } = await import(file);
  const since = performance.now();
  for (const source of sources.slice(1)) {
    const found = difference(await pixels(source), await pixels(sources[0]));
    paintDifference(document.createElement("canvas"), found, fullScale("auto", found.largest));
  }
  return (performance.now() - since) / 1000;
}"""


def _mapped_s(address: str) -> float:
    """Five difference maps, from the PNG files to the canvas, in a browser."""
    with TemporaryDirectory(prefix="studio-compare-") as folder, sync_playwright() as playwright:
        sources = [
            "data:image/png;base64,"
            + base64.b64encode((Path(folder) / one.file).read_bytes()).decode()
            for one in _painted(Path(folder)).pictures
        ]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.goto(address, wait_until="commit")
        page.wait_for_function("document.body?.dataset.ready", timeout=30_000)
        spent = float(page.evaluate(MAPS, sources))
        browser.close()
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
