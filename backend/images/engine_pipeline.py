"""A pipeline whose modules are engines: diffusers' own loop, other arithmetic."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DiffusionPipeline,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.configuration_utils import FrozenDict
from transformers import AutoTokenizer, CLIPTextConfig

from backend.contracts import EngineManifest, Runtime
from backend.engines.runtimes import ort
from backend.engines.runtimes.ort import Run
from backend.models import files
from backend.models.families import Family


@dataclass(frozen=True)
class EngineFile:
    manifest: EngineManifest
    file: Path


def load_engine_pipeline(
    folder: Path,
    family: Family,
    engines: Mapping[str, EngineFile],
    device: torch.device,
    kernels: Path,
) -> DiffusionPipeline:
    """The pipeline in `folder` with engines in the place of its modules; one that has none is left
    out. Its tokenizers, scheduler and configurations are read; its weights are not. `kernels` is
    the folder in which compiled kernels are kept.

    Raises what the runtimes raise.
    """
    run = _load_all(engines, device, kernels)
    pipeline = ASSEMBLERS[family.name](folder, run, device)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _load_all(
    engines: Mapping[str, EngineFile], device: torch.device, kernels: Path
) -> dict[str, Run]:
    if all(one.manifest.runtime is Runtime.ONNXRUNTIME for one in engines.values()):
        return {
            module: ort.load(one.file, int8=ort.multiplies_integers(one.manifest.precision))
            for module, one in engines.items()
        }
    from backend.engines.runtimes import trt

    workspace = trt.Workspace(device)
    return {
        module: trt.load(
            one.file,
            one.manifest.edition,
            device,
            workspace,
            kernels / f"{one.manifest.id}.kernels",
        )
        for module, one in engines.items()
    }


def _flux(folder: Path, run: Mapping[str, Run], device: torch.device) -> FluxPipeline:
    transformer = FluxTransformer2DModel.load_config(folder / "transformer")
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler"),
        tokenizer=_tokenizer(folder / "tokenizer"),
        tokenizer_2=_tokenizer(folder / "tokenizer_2"),
        text_encoder=_module(run, "text_encoder", _FluxEncoder, device),
        text_encoder_2=_module(run, "text_encoder_2", _FluxEncoder, device),
        transformer=_module(run, "transformer", _Transformer, device, FrozenDict(transformer)),
        vae=_vae(folder, run, device),
    )


def _sdxl(folder: Path, run: Mapping[str, Run], device: torch.device) -> StableDiffusionXLPipeline:
    unet = UNet2DConditionModel.load_config(folder / "unet")
    projected = CLIPTextConfig.from_pretrained(folder / "text_encoder_2")
    index = files.read_json(folder / "model_index.json", folder.name)
    return StableDiffusionXLPipeline(
        scheduler=EulerDiscreteScheduler.from_pretrained(folder / "scheduler"),
        tokenizer=_tokenizer(folder / "tokenizer"),
        tokenizer_2=_tokenizer(folder / "tokenizer_2"),
        text_encoder=_module(run, "text_encoder", _SdxlEncoder, device),
        text_encoder_2=_module(run, "text_encoder_2", _SdxlEncoder, device, projected),
        unet=_module(run, "unet", _Unet, device, FrozenDict(unet)),
        vae=_vae(folder, run, device),
        force_zeros_for_empty_prompt=index.get("force_zeros_for_empty_prompt", True),
    )


ASSEMBLERS: dict[str, Callable[[Path, Mapping[str, Run], torch.device], DiffusionPipeline]] = {
    "flux": _flux,
    "sdxl": _sdxl,
}


def _tokenizer(folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def _vae(folder: Path, run: Mapping[str, Run], device: torch.device) -> "_EngineModule | None":
    config = AutoencoderKL.load_config(folder / "vae")
    return _module(run, "vae_decoder", _Vae, device, FrozenDict(config))


def _module(
    run: Mapping[str, Run],
    name: str,
    kind: "type[_EngineModule]",
    device: torch.device,
    config: Any = None,
) -> "_EngineModule | None":
    return kind(run[name], device, config) if name in run else None


class _EngineModule(torch.nn.Module):
    """What diffusers asks of a module. Tensors between engines are FP32, whatever they compute in:
    so are the latents, which the scheduler adds to."""

    def __init__(self, run: Run, device: torch.device, config: Any = None) -> None:
        super().__init__()
        self.device, self.config = device, config
        self.dtype = torch.float32
        self._run = run

    def run(self, inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        return tuple(out.to(self.dtype) for out in self._run(inputs))


HIDDEN_RANK, POOLED_RANK = 3, 2
"""Of an encoder's outputs: one vector a token, and one a prompt. Pre-exported CLIP may give the
second alone, which is all that FLUX reads of it."""


class _FluxEncoder(_EngineModule):
    def forward(self, input_ids: torch.Tensor, **_: Any) -> Any:
        outputs = self.run({"input_ids": input_ids.int()})
        by_rank = {out.dim(): out for out in outputs}
        hidden, pooled = by_rank.get(HIDDEN_RANK), by_rank.get(POOLED_RANK)
        return _Encoded((hidden, pooled), pooler_output=pooled)


class _SdxlEncoder(_EngineModule):
    def forward(self, input_ids: torch.Tensor, **_: Any) -> Any:
        hidden, *pooled = self.run({"input_ids": input_ids.int()})
        # the pipeline reads the last but one of the hidden states, and the first output if pooled
        return _Encoded((*pooled, hidden), hidden_states=(hidden, None))


class _Encoded(SimpleNamespace):
    """Outputs by name and by place."""

    def __init__(self, values: tuple[torch.Tensor | None, ...], **named: Any) -> None:
        super().__init__(**named)
        self._values = values

    def __getitem__(self, index: int) -> torch.Tensor | None:
        return self._values[index]


class _Transformer(_EngineModule):
    def forward(self, **inputs: Any) -> tuple[torch.Tensor]:
        named = {k: v for k, v in inputs.items() if isinstance(v, torch.Tensor)}
        return (self.run(named)[0],)

    @contextmanager
    def cache_context(self, _name: str) -> Iterator[None]:
        yield


class _Unet(_EngineModule):
    def __init__(self, run: Run, device: torch.device, config: FrozenDict) -> None:
        super().__init__(run, device, config)
        width = config["projection_class_embeddings_input_dim"]
        self.add_embedding = SimpleNamespace(linear_1=SimpleNamespace(in_features=width))

    def forward(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        added_cond_kwargs: dict[str, torch.Tensor],
        **_: Any,
    ) -> tuple[torch.Tensor]:
        inputs = {
            "sample": sample,
            "timestep": timestep.float().reshape(1),
            "encoder_hidden_states": encoder_hidden_states,
            "text_embeds": added_cond_kwargs["text_embeds"],
            "time_ids": added_cond_kwargs["time_ids"],
        }
        return (self.run(inputs)[0],)


class _Vae(_EngineModule):
    def decode(self, latent: torch.Tensor, **_: Any) -> tuple[torch.Tensor]:
        return (self.run({"latent": latent})[0],)
