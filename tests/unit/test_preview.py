"""Previews follow the schedulers' own arithmetic."""

from typing import Any

import pytest
import torch
from diffusers import EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler

from backend.images.preview import heading_for, unpack

SHAPE = (1, 4, 8, 8)


def sdxl_scheduler(prediction: str) -> EulerDiscreteScheduler:
    return EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type=prediction,
        timestep_spacing="leading",
        steps_offset=1,
    )


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_a_preview_of_diffusion_is_the_schedulers_prediction(prediction: str) -> None:
    scheduler = sdxl_scheduler(prediction)
    scheduler.set_timesteps(6)
    latents = torch.randn(SHAPE) * scheduler.init_noise_sigma
    for step, timestep in enumerate(scheduler.timesteps):
        scheduler.scale_model_input(latents, timestep)
        made: Any = scheduler.step(torch.randn(SHAPE), timestep, latents)
        sigmas = [float(scheduler.sigmas[step + after]) for after in (0, 1)]
        ahead = heading_for(latents, made.prev_sample, *sigmas)
        torch.testing.assert_close(ahead, made.pred_original_sample, rtol=1e-3, atol=1e-3)
        latents = made.prev_sample


def test_a_preview_of_flow_matching_is_where_the_velocity_leads() -> None:
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(6)
    latents, velocity = torch.randn(SHAPE), torch.randn(SHAPE)
    made: Any = scheduler.step(velocity, scheduler.timesteps[0], latents)
    sigmas = [float(sigma) for sigma in scheduler.sigmas[:2]]
    ahead = heading_for(latents, made.prev_sample, *sigmas)
    torch.testing.assert_close(ahead, latents - sigmas[0] * velocity, rtol=1e-4, atol=1e-4)


def test_latents_of_both_families_are_seen_as_channels_of_rows() -> None:
    latents = torch.arange(4 * 4 * 6).reshape(1, 4, 4, 6)
    assert (unpack(latents, 4, 6) == latents[0]).all()
    packed = latents.reshape(1, 4, 2, 2, 3, 2).permute(0, 2, 4, 1, 3, 5).reshape(1, 6, 16)
    assert (unpack(packed, 4, 6) == latents[0]).all()
