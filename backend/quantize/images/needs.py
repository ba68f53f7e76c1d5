"""What making and comparing pictures needs, estimated beforehand."""

from backend.engines.needs import ACTIVATIONS_SHARE, BYTES, PROCESS_BYTES, Needs, module_parameters
from backend.quantize.images.order import ImageOrder

PICTURE_BYTES = 4
"""A pixel of a PNG at the most, and a little more than it mostly is."""
CAPTURED = 2
"""Pictures whose denoiser inputs are kept to measure the sensitivity on."""


def picture_needs(order: ImageOrder) -> dict[str, Needs]:
    """By phase: the reference's pipeline, and a second denoiser where the pictures are simulated;
    the denoiser and its quantised copy, block by block.

    Raises StudioError MODEL_FILES_CORRUPTED.
    """
    width = BYTES[order.reference]
    denoiser = module_parameters(order.entry, order.entry.family.denoiser) * width
    pipeline = order.entry.parameters * width * ACTIVATIONS_SHARE
    pictures = pipeline + (denoiser if order.simulated else 0)
    request = order.request
    assert request.width is not None and request.height is not None
    pixels = 2 * request.count * request.width * request.height
    return {
        "pictures": Needs(int(pictures) + PROCESS_BYTES, pixels * PICTURE_BYTES),
        "sensitivity": Needs(int(2 * denoiser * ACTIVATIONS_SHARE) + PROCESS_BYTES, 0),
    }
