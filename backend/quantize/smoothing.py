"""SmoothQuant: moves range from a Linear layer's input, where INT8 has one scale for all channels,
into its weight, where it has one for each."""

import torch

SMALLEST = 2.0**-31
"""Ranges up to this count as zero when they are divided by."""


def smoothing_scale(input_amax: torch.Tensor, weight: torch.Tensor, alpha: float) -> torch.Tensor:
    """SmoothQuant's factors (in,) for the input of a Linear layer.

    Args: ranges (in,) of its input per channel and its weight (out, in), both FP32.
    Xiao et al. 2023, arXiv:2211.10438, equation 4; limits as in ModelOpt's `smoothquant`. A channel
    that is quiet while watched and loud later is cut off: watch many pictures of all their steps.
    """
    weight_amax = weight.abs().amax(0)
    scale = weight_amax.pow(1 - alpha) / input_amax.pow(alpha)
    unused = (input_amax <= SMALLEST) | (weight_amax <= SMALLEST)
    return torch.where(unused, torch.ones_like(scale), scale).clamp(1e-4, 1e4)


def smoothed(weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """The weight (out, in) for an input times `scale` (in,), in FP32 as ModelOpt computes it."""
    return weight.float() * (1.0 / scale)
