"""The shapes of a module's inputs for the sizes of a profile."""

from backend.contracts import EngineProfile

VAE_SCALE = 8
TOKEN_SIDE = 16
"""Pixels of one picture token's side: 8 of the VAE times patches of 2."""


def dimension_sizes(batch: int, width: int, height: int, guided: bool = True) -> dict[str, int]:
    """The named dimensions of pictures of `width` x `height` pixels: B pictures; G of them in the
    denoiser, two of each with classifier-free guidance; T picture tokens; H and W latent rows and
    columns."""
    return {
        "B": batch,
        "G": 2 * batch if guided else batch,
        "T": (width // TOKEN_SIDE) * (height // TOKEN_SIDE),
        "H": height // VAE_SCALE,
        "W": width // VAE_SCALE,
    }


def profile_sizes(profile: EngineProfile) -> tuple[dict[str, int], ...]:
    """The named dimensions at the smallest, the tuned and the largest size of a profile."""
    return (
        dimension_sizes(1, *profile.smallest, guided=False),
        dimension_sizes(1, profile.opt_width, profile.opt_height),
        dimension_sizes(profile.max_batch, *profile.largest),
    )


def input_shapes(
    inputs: dict[str, list[int]],
    dynamic: dict[str, list[tuple[int, str]]],
    profile: EngineProfile,
) -> dict[str, list[list[int]]]:
    """(min, opt, max) of every input. `inputs` gives an example's shape, `dynamic` the names of
    its dynamic dimensions by axis."""
    bounds = profile_sizes(profile)
    shapes: dict[str, list[list[int]]] = {}
    for name, shape in inputs.items():
        names = {int(axis): dim for axis, dim in dynamic[name]}
        shapes[name] = [
            [sizes[names[axis]] if axis in names else size for axis, size in enumerate(shape)]
            for sizes in bounds
        ]
    return shapes
