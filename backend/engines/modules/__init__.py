"""The modules of a pipeline that engines take the place of, with the reference's names and shapes.

Names, shapes and order are those of NVIDIA's TensorRT pipelines for FLUX.1 and SDXL. Dynamic
dimensions are named as in backend/engines/shapes.py.
"""

from diffusers import DiffusionPipeline, FluxPipeline

from backend.engines.modules.flux import flux_modules
from backend.engines.modules.module import ExportModule
from backend.engines.modules.sdxl import sdxl_modules

__all__ = ["ExportModule", "flux_modules", "modules_of", "sdxl_modules"]


def modules_of(pipeline: DiffusionPipeline, width: int, height: int) -> dict[str, ExportModule]:
    """Modules of a pipeline by name, with example inputs of `width` x `height` pixels."""
    if isinstance(pipeline, FluxPipeline):
        return flux_modules(pipeline, width, height)
    return sdxl_modules(pipeline, width, height)
