"""The modules of a pipeline that engines take the place of, with the reference's names and shapes.

Names, shapes and order are those of NVIDIA's TensorRT pipelines for FLUX.1 and SDXL. Dynamic
dimensions are named as in backend/engines/shapes.py.
"""

from diffusers import DiffusionPipeline, FluxPipeline

from backend.engines.modules.flux import FLUX_MODULES
from backend.engines.modules.module import ExportModule
from backend.engines.modules.sdxl import SDXL_MODULES

__all__ = ["ExportModule", "module_of"]


def module_of(pipeline: DiffusionPipeline, name: str, width: int, height: int) -> ExportModule:
    """A module of a pipeline, with example inputs of `width` x `height` pixels. Of the pipeline it
    reads the components that `Family.needed_for` names."""
    if isinstance(pipeline, FluxPipeline):
        return FLUX_MODULES[name](pipeline, width, height)
    return SDXL_MODULES[name](pipeline, width, height)
