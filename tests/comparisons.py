"""Reports of comparisons as they lie on disk, with real small pictures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from backend.contracts import Precision, Runtime, Sampling, ServerKind
from backend.contracts.compare import (
    ComparedPicture,
    ComparedState,
    ComparedVariant,
    CompareRequest,
    CompareVariant,
    Figures,
    Machine,
    PictureReport,
)
from backend.contracts.compare_text import (
    ComparedAnswer,
    ComparedServer,
    CompareTextRequest,
    TextReport,
    TextVariant,
)
from backend.errors import Code, ErrorInfo
from backend.studio import SERVER_TITLES

MACHINE = Machine(
    device="NVIDIA GB10",
    compute_capability="sm121",
    driver="580.95",
    system="Linux 6.14 aarch64",
    memory_bytes=128 * 2**30,
    unified_memory=True,
    versions={"spark-studio": "0.1.0", "python": "3.12.3", "torch": "2.13.0"},
)
VARIANTS = (
    (Precision.BF16, Runtime.TORCH),
    (Precision.FP8, Runtime.TENSORRT),
    (Precision.NVFP4, Runtime.TENSORRT),
    (Precision.INT8, Runtime.ONNXRUNTIME),
)
FAILED = ErrorInfo(code=Code.OUT_OF_MEMORY, values={}, detail="CUDA out of memory")


def drawing(side: int, prompt: int, seed: int, noise: int) -> np.ndarray:
    """RGB of `side` x `side`, uint8; `noise` is the largest change of a channel."""
    image = Image.new("RGB", (side, side), (24 + 40 * prompt, 60, 110))
    draw = ImageDraw.Draw(image)
    for ring in range(6, 0, -1):
        reach = side * ring // 14
        middle = side // 2 + (seed * 7 - 3) * ring
        colour = (40 * ring, 255 - 35 * ring, (90 * (prompt + seed) + 20 * ring) % 256)
        draw.ellipse((middle - reach, side // 2 - reach, middle + reach, side // 2 + reach), colour)
    pixels = np.asarray(image).astype(int)
    change = np.random.default_rng(noise).integers(-noise, noise + 1, pixels.shape)
    return np.clip(pixels + change, 0, 255).astype(np.uint8)


def picture_report(
    folder: Path,
    prompts: Sequence[str] = ("a red circle",),
    seeds: Sequence[int] = (7,),
    variants: int = 2,
    side: int = 64,
    title: str = "Circles",
    failed: bool = False,
    simulated: bool = True,
) -> PictureReport:
    """The first variant is the reference; of the last one, if `failed`, nothing came."""
    request = CompareRequest(
        variants=tuple(
            CompareVariant(precision=precision, runtime=runtime)
            for precision, runtime in VARIANTS[:variants]
        ),
        prompts=tuple(prompts),
        seeds=tuple(seeds),
        steps=20,
        guidance=3.5,
        width=side,
        height=side,
    )
    pictures = []
    rows = []
    for index, variant in enumerate(request.variants):
        if failed and index == variants - 1:
            rows.append(
                ComparedVariant(
                    precision=variant.precision,
                    runtime=variant.runtime,
                    state=ComparedState.FAILED,
                    error=FAILED,
                )
            )
            continue
        made = [
            _picture(folder, index, prompt, seed, side, warm=bool(prompt or seed))
            for prompt in range(len(prompts))
            for seed in range(len(seeds))
        ]
        pictures += made
        rows.append(_row(variant, index, made, simulated=simulated and index == 2))
    return PictureReport(
        id="c1",
        title=title,
        made_at=1_763_700_000,
        model_name="demo-flux",
        source="assets/models/demo-flux",
        fingerprint="0123456789abcdef",
        request=request,
        encoded_by=0,
        machine=MACHINE,
        variants=tuple(rows),
        pictures=tuple(pictures),
    )


def _picture(
    folder: Path, variant: int, prompt: int, seed: int, side: int, warm: bool
) -> ComparedPicture:
    name = f"v{variant}-p{prompt}-s{seed}.png"
    noise = 6 * variant * variant
    own, reference = drawing(side, prompt, seed, noise), drawing(side, prompt, seed, 0)
    Image.fromarray(own).save(folder / name)
    error = float(np.mean((own.astype(float) - reference) ** 2))
    return ComparedPicture(
        variant=variant,
        prompt=prompt,
        seed=seed,
        file=name,
        width=side,
        height=side,
        warm=warm,
        total_s=(4.0 + 0.1 * prompt + 0.05 * seed) / (1 + variant),
        step_ms=180 / (1 + variant),
        decode_ms=55,
        text_encode_ms=80 if variant == 0 and seed == 0 else None,
        psnr_db=10 * float(np.log10(255**2 / error)) if error else None,
        ssim=1 - error / 4000 if variant else None,
    )


def _figures(values: Sequence[float | None]) -> Figures | None:
    there = sorted(value for value in values if value is not None)
    if not there:
        return None
    return Figures(median=float(np.median(there)), low=there[0], high=there[-1], count=len(there))


def _row(
    variant: CompareVariant, index: int, made: list[ComparedPicture], simulated: bool
) -> ComparedVariant:
    counted = [each for each in made if each.warm] or made
    return ComparedVariant(
        precision=variant.precision,
        runtime=variant.runtime,
        state=ComparedState.DONE,
        simulated=simulated,
        load_s=3.4,
        engine_bytes=None if variant.runtime == Runtime.TORCH else 12_000_000_000 // (1 + index),
        weights_bytes=24_000_000_000 if variant.runtime == Runtime.TORCH else None,
        peak_memory_bytes=30_000_000_000 // (1 + index),
        memory_kind="gpu",
        first_s=made[0].total_s,
        warm=counted[0].warm,
        total_s=_figures([each.total_s for each in counted]),
        step_ms=_figures([each.step_ms for each in counted]),
        decode_ms=_figures([each.decode_ms for each in counted]),
        text_encode_ms=_figures([each.text_encode_ms for each in counted]),
        speed_up=1.0 + index,
        psnr_db=_figures([each.psnr_db for each in made]),
        ssim=_figures([each.ssim for each in made]),
        pictures=len(made),
    )


def text_report(**changed: object) -> TextReport:
    """A reference, one that differs from a point on, and one that failed."""
    names = ("demo-chat", "demo-chat-fp8", "demo-chat-nvfp4")
    kinds = (ServerKind.TRANSFORMERS, ServerKind.VLLM, ServerKind.TENSORRT_LLM)
    request = CompareTextRequest(
        variants=tuple(TextVariant(model=m, kind=k) for m, k in zip(names, kinds)),
        prompts=("What is 7 times 8?", "Name a colour."),
        sampling=Sampling(temperature=0.0, max_tokens=64),
        together=True,
    )
    tokens = Figures(median=41.0, low=38.5, high=44.0, count=2)
    ttft = Figures(median=0.084, low=0.07, high=0.098, count=2)
    servers = tuple(
        ComparedServer(
            model=name,
            kind=kind,
            title=SERVER_TITLES[kind],
            precision=precision,
            simulated=place == 1,
            state=ComparedState.FAILED if place == 2 else ComparedState.DONE,
            error=FAILED if place == 2 else None,
            started_here=True,
            ready_s=None if place == 2 else 12.5,
            weights_bytes=12_000_000 // (place + 1),
            ttft_s=None if place == 2 else ttft,
            tokens_per_s=None if place == 2 else tokens,
            agreement=0.62 if place == 1 else None,
            same=1 if place == 1 else None,
            perplexity=1.52 if place == 1 else None,
            source_perplexity=1.48 if place == 1 else None,
            kl_mean=0.0123 if place == 1 else None,
            weights_only=place == 1,
        )
        for place, (name, kind, precision) in enumerate(zip(names, kinds, ("BF16", "FP8", "NVFP4")))
    )
    reference, other = "7 × 8 is 56 😀 as 7 × 4 is 28.", "7 × 8 is 56 😀 because 28 doubles."
    thought = "Seven eights."
    answers = (
        _answer(0, 0, reference, thought, None),
        _answer(1, 0, other, thought, len(thought) + other.index("because")),
        _answer(0, 1, "Blue.", "", None),
        _answer(1, 1, "Blue.", "", len("Blue.")),
    )
    whole = TextReport(
        id="t1",
        title="Sums and colours",
        made_at=1_763_700_000,
        request=request,
        together=False,
        apart_because=FAILED,
        machine=MACHINE,
        variants=servers,
        answers=answers,
    )
    return whole.model_copy(update=changed)


def _answer(
    variant: int, prompt: int, text: str, reasoning: str, same: int | None
) -> ComparedAnswer:
    return ComparedAnswer(
        variant=variant,
        prompt=prompt,
        state=ComparedState.DONE,
        text=text,
        reasoning=reasoning,
        ttft_s=0.084,
        tokens_per_s=41.0,
        completion_tokens=12,
        total_s=0.4,
        finish_reason="stop",
        same_characters=same,
        same_tokens=None if same is None else same // 3,
        tokens=12,
    )
