"""What the studio knows of a family of picture models without loading one."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.contracts import ImageLimits, Precision

TORCH_PRECISIONS = (Precision.FP32, Precision.BF16, Precision.FP16)
"""What torch runs as it is."""
QUANTISED = frozenset({Precision.INT8, Precision.FP8, Precision.NVFP4})
ENGINE_PRECISIONS = (
    Precision.FP32,
    Precision.FP16,
    Precision.BF16,
    Precision.INT8,
    Precision.FP8,
    Precision.NVFP4,
)
"""What engines of a model can be built in, unless the catalogue says less of it."""

Manifest = dict[str, Any]
"""A model's own `manifest.json`; it may narrow or move the family's limits."""


@dataclass(frozen=True)
class Family:
    """Pipelines of one architecture: one diffusers class, its modules and its limits.

    engine_modules: modules that engines take the place of, in the order they run.
    gpu_precisions: of each module in a pipeline of FP16, of BF16, or of a quantised precision,
        what it is exported in; an FP32 pipeline is FP32 throughout.
    limits: those of a model whose folder cannot be read, or is not here.
    read_limits: those of the model in a folder. Raises StudioError MODEL_FILES_CORRUPTED.
    count_prompt_tokens: tokens of a prompt as the model in a folder gets them, markers included.
    """

    name: str
    pipeline_class: str
    scheduler_class: str
    engine_modules: tuple[str, ...]
    denoiser: str
    gpu_precisions: Callable[[Precision], dict[str, Precision]]
    limits: Callable[[Manifest], ImageLimits]
    read_limits: Callable[[Path, Manifest], ImageLimits]
    count_prompt_tokens: Callable[[Path, str], int]

    @property
    def text_encoders(self) -> tuple[str, ...]:
        return tuple(name for name in self.engine_modules if name.startswith("text_encoder"))

    @property
    def components(self) -> tuple[str, ...]:
        """The parts of the diffusers pipeline that hold weights."""
        return tuple(component_of(module) for module in self.engine_modules)

    def needed_for(self, modules: Iterable[str]) -> tuple[str, ...]:
        """The components that exporting these modules takes: their own, and for a denoiser the text
        encoders, whose embeddings are its example inputs."""
        wanted = {component_of(module) for module in modules}
        if self.denoiser in wanted:
            wanted |= set(self.text_encoders)
        return tuple(name for name in self.components if name in wanted)

    def module_precisions(
        self, precision: Precision, on_cpu: bool
    ) -> dict[str, tuple[Precision, Precision]]:
        """Of each module of a variant: the precision it is exported in, and that of its engine.

        Only the denoiser is quantised. On a CPU all else is FP32.
        """
        if on_cpu or precision is Precision.FP32:
            base = dict.fromkeys(self.engine_modules, Precision.FP32)
        else:
            base = self.gpu_precisions(precision)
        quantised = precision in QUANTISED
        return {
            module: (own, precision if quantised and module == self.denoiser else own)
            for module, own in base.items()
        }


def component_of(module: str) -> str:
    """The component of the diffusers pipeline that an engine's module is of."""
    return module.removesuffix("_decoder")
