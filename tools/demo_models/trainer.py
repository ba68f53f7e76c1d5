"""Runs a family's stages in turn and keeps their weights in a folder."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tools.demo_models.denoise import NATIVE, SMALL, Encoded, Plan, fit
from tools.demo_models.family import Family, Seconds
from tools.demo_models.pool import Shelf, Size
from tools.demo_models.stages import Stage
from tools.demo_models.train_text import Features, Texts, train_text
from tools.demo_models.train_vae import VaePlan, encode, measure, polish_decoder, train_vae
from tools.demo_models.training import autocast, share, world


def load(model: nn.Module, path: Path) -> None:
    if path.exists():
        model.load_state_dict(load_file(path), strict=False)


def save(model: nn.Module, path: Path) -> None:
    """Weights in FP16, written whole or not at all."""
    if world()[0] == 0:
        tensors = {name: t.half().contiguous() for name, t in model.state_dict().items()}
        save_file(tensors, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)


class Trainer:
    """One run over the stages that are not over yet."""

    def __init__(
        self,
        family: Family,
        shelves: dict[Size, Shelf],
        seconds: Seconds,
        options: argparse.Namespace,
        device: str,
        began: float,
    ) -> None:
        self.family, self.shelves, self.seconds = family, shelves, seconds
        self.options, self.device, self.began = options, device, began
        self.folder: Path = options.folder
        self._statistics = self.folder / "latents.json"
        pixels = options.batch * SMALL[0] * SMALL[1] // 8
        self.vae_plan = VaePlan(pixels, options.channels_last, family.vae_balance)
        family.to(device)
        for name, model in family.models.items():
            load(model, self.folder / f"{name}.safetensors")
        share(*family.models.values())
        pictures = sum(map(len, shelves.values()))
        self.note(f"{family.size / 1e6:.2f}M parameters on {device}, pool of {pictures} pictures")

    def note(self, text: str) -> None:
        if world()[0] == 0:
            print(f"[{time.monotonic() - self.began:7.1f}s] {text}", flush=True)

    def run(self) -> None:
        """All stages; raises PartOverError when this run's time is over before."""
        family, shelves = self.family, self.shelves
        vae = {"vae": family.vae}
        self._stage("vae", vae, lambda stage: train_vae(family.vae, shelves, stage, self.vae_plan))
        self.note(f"autoencoder: {self._sharpness()}")
        self._stage("text", family.encoders, self._train_text)
        self._train_denoiser()
        main_shelves = {size: shelves[size] for size in (SMALL, NATIVE)}
        self._stage(
            "decoder",
            vae,
            lambda stage: polish_decoder(family.vae, main_shelves, stage, self.vae_plan),
        )
        self.note(f"decoder polished: {self._sharpness()}")
        if world()[0] == 0:
            family.to("cpu")
            family.save(self.folder / "pipeline")
            self.note("pipeline written")

    def _stage(
        self, name: str, models: dict[str, nn.Module], train: Callable[[Stage], None]
    ) -> None:
        """Train a stage unless it is over, and keep its models."""
        stage = self._at(name)
        if stage.over:
            return
        train(stage)
        share(*models.values())
        for part, model in models.items():
            save(model, self.folder / f"{part}.safetensors")
        stage.finish()
        self.note(f"{name} done")

    def _at(self, name: str) -> Stage:
        deadline = self.began + self.options.part_seconds
        return Stage(name, getattr(self.seconds, name), self.device, self.folder, deadline)

    def _sharpness(self) -> str:
        """Reconstruction quality at the two main sizes."""
        decibels = {size: measure(self.family.vae, self.shelves[size]) for size in (SMALL, NATIVE)}
        return ", ".join(f"{size[0]} px {db:.2f} dB" for size, db in decibels.items())

    def _train_text(self, stage: Stage) -> None:
        shelves, family = list(self.shelves.values()), self.family
        wordings = shelves[0].ids[0].shape[1]
        texts = Texts(
            [torch.cat(parts).flatten(0, 1) for parts in zip(*(shelf.ids for shelf in shelves))],
            torch.cat([shelf.classes.repeat_interleave(wordings, 0) for shelf in shelves]),
        )
        encoders = list(family.encoders.values())
        train_text(family.encode_text, encoders, family.text_widths, texts, stage)

    def _train_denoiser(self) -> None:
        family, options = self.family, self.options
        goals = family.goals(self.device)
        if all(self._at(name).over for name in goals):
            self._set_statistics()
            return
        encoded = self._encode_pool()
        nothing = [torch.from_numpy(ids).to(self.device)[None] for ids in family.tokenizers([""])]
        pooled, tokens = self._text_features(nothing)
        empty = (pooled[0], tokens[0])
        self.note("latents and text features ready")
        for name, make in goals.items():
            first = options.first_fraction if name == "denoiser" else 1.0
            plan = Plan(
                options.batch, options.compile, options.channels_last, first, family.text_cost
            )

            def train(stage: Stage, make=make, plan=plan) -> None:
                fit(family.denoiser, encoded, empty, stage, plan, make(empty))

            self._stage(name, {family.denoiser_name: family.denoiser}, train)

    def _encode_pool(self) -> dict[Size, Encoded]:
        vae = self.family.vae
        latents = {size: encode(vae, shelf, self.device) for size, shelf in self.shelves.items()}
        self._measure_statistics(latents[NATIVE])
        shift, scale = self._set_statistics()
        self.note(f"latents encoded, shift {shift:.6f} scale {scale:.6f}")
        encoded = {}
        for size, shelf in self.shelves.items():
            normal = ((latents.pop(size).float() - shift) * scale).half()
            encoded[size] = Encoded(normal, *self._text_features(shelf.ids))
        return encoded

    def _measure_statistics(self, latents: Tensor) -> None:
        """Keep shift and scale of the latents in a file, once for all runs and GPUs."""
        if world()[0] == 0 and not self._statistics.exists():
            sample = latents[:4096].float()
            shift = float(sample.mean()) if self.family.centred else 0.0
            scale = self.family.latent_spread / float((sample - shift).square().mean().sqrt())
            self._statistics.write_text(json.dumps([round(shift, 6), round(scale, 6)]))
        if dist.is_initialized():
            dist.barrier()

    def _set_statistics(self) -> tuple[float, float]:
        shift, scale = json.loads(self._statistics.read_text())
        self.family.vae.register_to_config(shift_factor=shift, scaling_factor=scale)
        return shift, scale

    @torch.no_grad()
    def _text_features(self, ids: list[Tensor]) -> Features:
        """Features of token ids [N, W, L]: pooled [N, W, P] and tokens [N, W, L, T] in BF16."""
        count, wordings = ids[0].shape[:2]
        pooled, tokens = [], []
        for part in zip(*(one.flatten(0, 1).split(8192) for one in ids)):
            with autocast(self.device):
                vector, features = self.family.encode_text(part)
            pooled.append(vector.bfloat16())
            tokens.append(features.bfloat16())
        shape = (count, wordings)
        return torch.cat(pooled).unflatten(0, shape), torch.cat(tokens).unflatten(0, shape)
