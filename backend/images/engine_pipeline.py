"""A FLUX pipeline whose modules are engines: diffusers' own loop, other arithmetic."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
)
from diffusers.configuration_utils import FrozenDict
from transformers import AutoTokenizer

from backend.contracts import EngineManifest, Precision, Runtime
from backend.engines.runtimes import ort
from backend.engines.runtimes.ort import Run


@dataclass(frozen=True)
class EngineFile:
    manifest: EngineManifest
    file: Path


def load_engine_pipeline(
    folder: Path, engines: Mapping[str, EngineFile], device: torch.device
) -> FluxPipeline:
    """The pipeline in `folder` with engines in the place of its modules. Its tokenizers, scheduler
    and configurations are read; its weights are not.

    Raises what the runtimes raise.
    """
    run = {module: _load(engine, device) for module, engine in engines.items()}
    transformer = FluxTransformer2DModel.load_config(folder / "transformer")
    vae = AutoencoderKL.load_config(folder / "vae")
    pipeline = FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler"),
        tokenizer=AutoTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True),
        tokenizer_2=AutoTokenizer.from_pretrained(folder / "tokenizer_2", local_files_only=True),
        text_encoder=_TextEncoder(run["text_encoder"], device),
        text_encoder_2=_TextEncoder(run["text_encoder_2"], device),
        transformer=_Transformer(run["transformer"], device, FrozenDict(transformer)),
        vae=_Vae(run["vae_decoder"], device, FrozenDict(vae)),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _load(engine: EngineFile, device: torch.device) -> Run:
    if engine.manifest.runtime is Runtime.ONNXRUNTIME:
        return ort.load(engine.file, int8=engine.manifest.precision is Precision.INT8)
    from backend.engines.runtimes import trt

    return trt.load(engine.file, engine.manifest.edition, device)


class _EngineModule(torch.nn.Module):
    """What diffusers asks of a module."""

    def __init__(self, run: Run, device: torch.device, config: FrozenDict | None = None) -> None:
        super().__init__()
        self.run, self.device, self.config = run, device, config
        self.dtype = torch.float32


HIDDEN_RANK, POOLED_RANK = 3, 2
"""Of an encoder's outputs: one vector a token, and one a prompt. Pre-exported CLIP may give the
second alone, which is all that FLUX reads of it."""


class _TextEncoder(_EngineModule):
    def forward(self, input_ids: torch.Tensor, **_: Any) -> Any:
        by_rank = {out.dim(): out for out in self.run({"input_ids": input_ids.int()})}
        return _Encoded(by_rank.get(HIDDEN_RANK), by_rank.get(POOLED_RANK))


class _Encoded(SimpleNamespace):
    def __init__(self, hidden: torch.Tensor | None, pooled: torch.Tensor | None) -> None:
        super().__init__(last_hidden_state=hidden, pooler_output=pooled)

    def __getitem__(self, index: int) -> torch.Tensor:
        hidden: torch.Tensor = (self.last_hidden_state, self.pooler_output)[index]
        return hidden


class _Transformer(_EngineModule):
    def forward(self, **inputs: Any) -> tuple[torch.Tensor]:
        named = {k: v for k, v in inputs.items() if isinstance(v, torch.Tensor)}
        return (self.run(named)[0],)

    @contextmanager
    def cache_context(self, _name: str) -> Iterator[None]:
        yield


class _Vae(_EngineModule):
    def decode(self, latent: torch.Tensor, **_: Any) -> tuple[torch.Tensor]:
        return (self.run({"latent": latent})[0],)
