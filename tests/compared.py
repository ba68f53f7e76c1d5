"""A comparison that is done: its job, its report and its pictures, without the painting."""

import numpy as np
from PIL import Image

from backend.compare.figures import summarised
from backend.compare.report import write_report
from backend.contracts import (
    ComparedAnswer,
    ComparedPicture,
    ComparedServer,
    ComparedState,
    ComparedVariant,
    CompareRequest,
    CompareTextRequest,
    CompareVariant,
    JobKind,
    JobState,
    Machine,
    PictureReport,
    Precision,
    Runtime,
    ServerKind,
    TextReport,
    TextVariant,
)
from backend.images.png import save_png
from backend.jobs.store import new_job
from backend.studio import Studio
from tests.support import OWNER, request

MACHINE = Machine(device="a processor", system="Linux", memory_bytes=1, versions={})
PRECISIONS = (Precision.FP32, Precision.INT8, Precision.FP8)
PROMPTS = ("a red circle left of a blue square", "a green triangle above a yellow circle")


def make_comparison(
    studio: Studio, owner: str = OWNER, seeds: tuple[int, ...] = (1, 2), size: int = 64, **changes
) -> PictureReport:
    """Of three variants on two prompts; the pictures are noise around a colour of their own."""
    asked = CompareRequest(
        **{
            "variants": tuple(
                CompareVariant(precision=one, runtime=Runtime.ONNXRUNTIME) for one in PRECISIONS
            ),
            "prompts": PROMPTS,
            "seeds": seeds,
            "steps": 4,
            "guidance": 3.5,
            "width": size,
            "height": size,
        }
        | changes
    )
    row = _ended_job(studio, owner, JobKind.COMPARE, asked.prompts[0], asked)
    folder = studio.settings.outputs / row
    pictures = []
    for variant, one in enumerate(asked.variants):
        for prompt, words in enumerate(asked.prompts):
            for seed, number in enumerate(seeds):
                name = f"v{variant}-p{prompt}-s{seed}.png"
                about = request(
                    prompt=words,
                    seed=number,
                    precision=one.precision,
                    runtime=one.runtime,
                    width=size,
                    height=size,
                )
                save_png(_picture(variant, prompt, seed, size), folder / name, about)
                place = {"variant": variant, "prompt": prompt, "seed": seed}
                pictures.append(
                    ComparedPicture(
                        **place,
                        file=name,
                        width=size,
                        height=size,
                        warm=False,
                        total_s=1.0,
                        step_ms=250.0,
                        decode_ms=1.0,
                    )
                )
    report = PictureReport(
        id=row,
        title=asked.prompts[0],
        made_at=0.0,
        model_name="demo-flux",
        source="demo-flux",
        fingerprint="0",
        request=asked,
        machine=MACHINE,
        variants=tuple(
            ComparedVariant(precision=one.precision, runtime=one.runtime, state=ComparedState.DONE)
            for one in asked.variants
        ),
        pictures=tuple(pictures),
    )
    write_report(summarised(report), folder)
    return report


def make_text_comparison(studio: Studio, owner: str = OWNER) -> TextReport:
    """Of two servers on two prompts; the second has not answered the last one."""
    kinds = (ServerKind.TRANSFORMERS, ServerKind.VLLM)
    asked = CompareTextRequest(
        variants=tuple(TextVariant(model="demo-chat", kind=kind) for kind in kinds),
        prompts=("Who is the fox?", "Where does it live?"),
    )
    row = _ended_job(studio, owner, JobKind.COMPARE_TEXT, asked.prompts[0], asked)
    answers = [
        ComparedAnswer(
            variant=variant, prompt=prompt, state=ComparedState.DONE, text=f"{kind} on {prompt}"
        )
        for variant, kind in enumerate(kinds)
        for prompt in range(2)
    ]
    answers[-1] = answers[-1].model_copy(update={"state": ComparedState.RUNNING})
    report = TextReport(
        id=row,
        title=asked.prompts[0],
        made_at=0.0,
        request=asked,
        together=False,
        machine=MACHINE,
        variants=tuple(
            ComparedServer(
                model="demo-chat",
                kind=kind,
                title=str(kind),
                precision="bf16",
                state=ComparedState.DONE,
            )
            for kind in kinds
        ),
        answers=tuple(answers),
    )
    write_report(report, studio.settings.outputs / row)
    return report


def _ended_job(studio, owner, kind, title, asked) -> str:
    data = asked.model_dump(mode="json")
    row = new_job(kind, "interactive", 0, owner, title, "", data, 1.0)
    with studio.desk.store.engine.begin() as connection:
        studio.desk.store.insert(connection, row)
    for state in (JobState.RUNNING, JobState.SUCCEEDED):
        studio.desk.store.move(row.id, state, started_at=0.0, finished_at=row.created_at)
    return row.id


def _picture(variant: int, prompt: int, seed: int, size: int) -> Image.Image:
    noise = np.random.default_rng((variant, prompt, seed)).integers(0, 60, (size, size, 3))
    colour = np.roll([180, 90 + 30 * seed, 20], prompt)
    return Image.fromarray((noise + colour).astype(np.uint8))
