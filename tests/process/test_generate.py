"""The pictures of a job are those of the plain diffusers call."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image

from backend.contracts import JobState, Precision
from backend.errors import Code
from backend.images.pipeline import load_pipeline
from backend.models.catalog import find_model
from backend.settings import Settings
from backend.studio import Studio
from tests.support import LONG, OWNER, PATIENCE_S, request, running_worker
from tools.demo_models.checker import check
from tools.demo_models.spec import draw_pair


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    studio = Studio(Settings(home=tmp_path_factory.mktemp("home")))
    with running_worker(studio.settings):
        yield studio
    studio.close()


def plain(studio: Studio, precision: Precision, seed: int) -> np.ndarray:
    entry = find_model(studio.settings, "demo-flux")
    assert entry.folder is not None
    pipeline = load_pipeline(entry.folder, entry.id, precision, torch.device("cpu"))
    asked = request()
    picture = pipeline(
        asked.prompt,
        height=asked.height,
        width=asked.width,
        num_inference_steps=asked.steps,
        guidance_scale=asked.guidance,
        generator=torch.Generator("cpu").manual_seed(seed),
        max_sequence_length=entry.limits.max_prompt_tokens,
    ).images[0]
    return np.asarray(picture)


def test_pixels_are_those_of_the_plain_call_in_every_precision(studio: Studio) -> None:
    precisions = (Precision.FP32, Precision.BF16)
    ids = [studio.pictures.generate(request(precision=p, count=2), OWNER) for p in precisions]
    for precision, job_id in zip(precisions, ids, strict=True):
        job = studio.jobs.wait(job_id, OWNER, PATIENCE_S)
        assert job.state is JobState.SUCCEEDED, job.error
        for image in job.images:
            made = np.asarray(Image.open(image.path))
            assert (made == plain(studio, precision, image.seed)).all(), (precision, image.seed)


@pytest.mark.parametrize("model", ["demo-flux", "demo-sdxl"])
def test_a_model_that_ships_draws_what_it_is_asked_for(studio: Studio, model: str) -> None:
    limits = studio.models.find(model).limits
    native = {
        "steps": limits.default_steps,
        "guidance": limits.default_guidance,
        "width": limits.native_width,
        "height": limits.native_height,
    }
    wanted = draw_pair(Random(1), "left", ("circle", "red"), ("square", "blue"), "white")
    job_id = studio.pictures.generate(request(model=model, **native), OWNER)
    job = studio.jobs.wait(job_id, OWNER, PATIENCE_S)
    assert job.state is JobState.SUCCEEDED, job.error
    pixels = torch.from_numpy(np.asarray(Image.open(job.images[0].path)).copy())
    assert check(pixels.permute(2, 0, 1) / 255, wanted).right


@pytest.mark.parametrize("size", [(64, 64), (256, 64), (80, 256), (256, 256)])
def test_every_size_within_the_limits_works(studio: Studio, size: tuple[int, int]) -> None:
    width, height = size
    job_id = studio.pictures.generate(request(width=width, height=height, steps=2), OWNER)
    job = studio.jobs.wait(job_id, OWNER, PATIENCE_S)
    assert job.state is JobState.SUCCEEDED, job.error
    with Image.open(job.images[0].path) as picture:
        assert picture.size == size


def test_previews_are_made_while_denoising_and_gone_afterwards(studio: Studio) -> None:
    job_id = studio.pictures.generate(request(**LONG), OWNER)
    job = studio.jobs.wait(job_id, OWNER, PATIENCE_S, until=lambda job: job.preview is not None)
    assert job.preview is not None
    with Image.open(job.preview) as preview:
        assert preview.size == (32, 32)
    studio.jobs.cancel(job_id, OWNER)
    studio.jobs.wait(job_id, OWNER, PATIENCE_S)
    assert not Path(job.preview).exists()


def test_a_prompt_that_could_not_be_counted_when_it_was_queued_is_counted_before_it_is_run(
    studio: Studio,
) -> None:
    job_id = studio.pictures._submit(request(prompt="a red circle " * 300), OWNER)
    job = studio.jobs.wait(job_id, OWNER, PATIENCE_S)
    assert job.error
    assert job.error.code is Code.PROMPT_TOO_MANY_TOKENS
