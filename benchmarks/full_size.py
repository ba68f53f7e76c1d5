"""FLUX.1-dev's transformer and SDXL's UNet at full size with random weights, on this GPU.

python -m benchmarks.full_size {flux,sdxl} [--precision fp8 ...] [--small] [--folder DIR]

Speed and memory do not depend on the values of the weights; the pictures would be noise, so none is
made. Prints a JSON object a line: a step of the plain module, and calibration by precision.
`--small` keeps the architecture and shrinks it, to try the program.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers import FluxTransformer2DModel, UNet2DConditionModel

from backend.contracts import Precision
from backend.images.device import pick_device, synchronize
from backend.quantize.calibration import Calibration, calibrate
from backend.quantize.fake import fake_quantised
from backend.quantize.recipes import default_recipe

FLUX: dict[str, Any] = {
    "in_channels": 64,
    "num_layers": 19,
    "num_single_layers": 38,
    "attention_head_dim": 128,
    "num_attention_heads": 24,
    "joint_attention_dim": 4096,
    "pooled_projection_dim": 768,
    "guidance_embeds": True,
}
"""transformer/config.json of black-forest-labs/FLUX.1-dev."""
SDXL: dict[str, Any] = {
    "sample_size": 128,
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
"""unet/config.json of stabilityai/stable-diffusion-xl-base-1.0."""
SMALL: dict[str, dict[str, Any]] = {
    "flux": {"num_layers": 1, "num_single_layers": 1, "num_attention_heads": 2},
    "sdxl": {"block_out_channels": (64, 64, 128), "attention_head_dim": (1, 1, 2)},
}
PRECISIONS = {
    "flux": (Precision.FP8, Precision.NVFP4),
    "sdxl": (Precision.INT8, Precision.FP8),
}
SIDE = 1024
SMALL_SIDE = 128
SAMPLES, STEPS = 1, 2
WARM_UP, RUNS = 3, 10
SPREAD = 0.02
"""Standard deviation of the random weights: what transformers are commonly initialised with."""


def random_module(family: str, small: bool, device: torch.device) -> torch.nn.Module:
    """The architecture in BF16, its weights drawn on the device."""
    config = {"flux": FLUX, "sdxl": SDXL}[family] | (SMALL[family] if small else {})
    kind = {"flux": FluxTransformer2DModel, "sdxl": UNet2DConditionModel}[family]
    with torch.device("meta"):
        empty: torch.nn.Module = kind(**config).bfloat16()
    module: torch.nn.Module = empty.to_empty(device=device).eval().requires_grad_(False)
    torch.manual_seed(0)
    for name, parameter in module.named_parameters():
        if "norm" in name:
            parameter.fill_(1.0 if name.endswith("weight") else 0.0)
        else:
            parameter.normal_(0.0, SPREAD)
    return module


def random_inputs(family: str, module: Any, side: int, device: torch.device) -> dict[str, Any]:
    """One picture's inputs; SDXL's twice, as classifier-free guidance asks for."""
    kind: dict[str, Any] = {"dtype": torch.bfloat16, "device": device}
    config = module.config
    if family == "flux":
        tokens = (side // 16) ** 2
        return {
            "hidden_states": torch.randn(1, tokens, config.in_channels, **kind),
            "encoder_hidden_states": torch.randn(1, 512, config.joint_attention_dim, **kind),
            "pooled_projections": torch.randn(1, config.pooled_projection_dim, **kind),
            "timestep": torch.full((1,), 0.5, **kind),
            "img_ids": torch.zeros(tokens, 3, device=device),
            "txt_ids": torch.zeros(512, 3, device=device),
            "guidance": torch.full((1,), 3.5, device=device),
            "return_dict": False,
        }
    return {
        "sample": torch.randn(2, 4, side // 8, side // 8, **kind),
        "timestep": torch.tensor(500, device=device),
        "encoder_hidden_states": torch.randn(2, 77, config.cross_attention_dim, **kind),
        "added_cond_kwargs": {
            "text_embeds": torch.randn(2, 1280, **kind),
            "time_ids": torch.tensor([[side, side, 0, 0, side, side]] * 2, **kind),
        },
        "return_dict": False,
    }


class Measured:
    """Seconds and peak memory of a piece of work, told as a line of JSON."""

    def __init__(self, device: torch.device, tell: Callable[[dict[str, Any]], None]) -> None:
        self._device, self._tell = device, tell

    def run(self, what: str, work: Callable[[], Any], **more: Any) -> Any:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        started = time.perf_counter()
        result = work()
        synchronize(self._device)
        line = {"what": what, "seconds": round(time.perf_counter() - started, 3)} | more
        if self._device.type == "cuda":
            line["peak_bytes"] = torch.cuda.max_memory_allocated(self._device)
        self._tell(line)
        return result


def step_ms(module: torch.nn.Module, inputs: dict[str, Any], device: torch.device) -> float:
    """Median of one call of the module, in milliseconds."""
    seconds = []
    for _ in range(WARM_UP + RUNS):
        started = time.perf_counter()
        module(**inputs)
        synchronize(device)
        seconds.append(time.perf_counter() - started)
    return sorted(seconds[WARM_UP:])[RUNS // 2] * 1000


@torch.no_grad()
def measure(
    family: str,
    precisions: list[Precision],
    small: bool,
    folder: Path | None,
    tell: Callable[[dict[str, Any]], None],
) -> None:
    device = pick_device()
    side = SMALL_SIDE if small else SIDE
    measured = Measured(device, tell)
    module = measured.run("random weights", lambda: random_module(family, small, device))
    inputs = random_inputs(family, module, side, device)
    tell({"what": "parameters", "value": sum(one.numel() for one in module.parameters())})
    tell({"what": "step bf16", "ms": round(step_ms(module, inputs, device), 2)})
    plain = module(**inputs)[0].float()
    for precision in precisions:
        found = measured.run(
            f"calibrate {precision}",
            partial(watch, family, precision, module, inputs),
            samples=SAMPLES,
            steps=STEPS,
        )
        if folder is not None:
            found.save(folder / f"{family}.{precision}.safetensors")
        if precision is not Precision.NVFP4 or device.type == "cuda":
            made = measured.run(
                f"fake-quantised {precision}",
                partial(quantised_output, module, found, inputs),
                layers=len(found.layers),
            )
            error = float((made - plain).square().mean().sqrt() / plain.square().mean().sqrt())
            tell({"what": f"relative difference {precision}", "value": round(error, 5)})


def quantised_output(
    module: torch.nn.Module, found: Calibration, inputs: dict[str, Any]
) -> torch.Tensor:
    out: torch.Tensor = fake_quantised(module, found)(**inputs)[0]
    return out.float()


def watch(
    family: str, precision: Precision, module: torch.nn.Module, inputs: dict[str, Any]
) -> Calibration:
    recipe = default_recipe(family, precision, samples=SAMPLES, steps=STEPS)

    def forward(stand_in: torch.nn.Module) -> None:
        for _ in range(SAMPLES * STEPS):
            stand_in(**inputs)

    return calibrate(module, recipe, family, forward, lambda done, wanted: None, lambda: None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("family", choices=PRECISIONS)
    parser.add_argument("--precision", action="append", type=Precision)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--folder", type=Path, help="where to keep the calibrations")
    options = parser.parse_args()
    precisions = options.precision or list(PRECISIONS[options.family])
    measure(
        options.family,
        precisions,
        options.small,
        options.folder,
        lambda line: print(json.dumps(line), flush=True),
    )


if __name__ == "__main__":
    main()
