"""How alike two pictures are: PSNR and SSIM."""

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""(height, width, channels), 0 to 255."""

DATA_RANGE = 255.0
SIGMA, RADIUS = 1.5, 5
K1, K2 = 0.01, 0.03


def fits_window(picture: Pixels) -> bool:
    """Whether SSIM's window fits into it."""
    return bool(min(picture.shape[:2]) > 2 * RADIUS)


def psnr(picture: Pixels, reference: Pixels) -> float | None:
    """Peak signal-to-noise ratio over all channels in dB; None where both are the same.

    Raises ValueError for pictures of different sizes.
    """
    _check(picture, reference)
    error = np.mean((picture.astype(np.float64) - reference.astype(np.float64)) ** 2)
    return None if error == 0 else float(10 * np.log10(DATA_RANGE**2 / error))


def ssim(picture: Pixels, reference: Pixels) -> float:
    """Mean structural similarity over windows and channels, 1 for the same picture.

    Wang et al. 2004, IEEE Transactions on Image Processing 13(4), with their Gaussian window of 11
    pixels and sigma 1.5, over the windows that lie wholly within the picture. The same as
    scikit-image's `structural_similarity(..., gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False, data_range=255, channel_axis=2)`.

    Raises ValueError for pictures of different sizes or smaller than the window.
    """
    _check(picture, reference)
    if not fits_window(picture):
        raise ValueError(f"a picture of {picture.shape[:2]} is smaller than the window")
    x, y = picture.astype(np.float64), reference.astype(np.float64)
    mean_x, mean_y = _blurred(x), _blurred(y)
    var_x, var_y = _blurred(x * x) - mean_x**2, _blurred(y * y) - mean_y**2
    covariance = _blurred(x * y) - mean_x * mean_y
    c1, c2 = (K1 * DATA_RANGE) ** 2, (K2 * DATA_RANGE) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return float((luminance * structure).mean())


def _blurred(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted means over every window that lies wholly within: sides shrink by 2 * RADIUS."""
    offsets = np.arange(-RADIUS, RADIUS + 1)
    weights = np.exp(-0.5 * (offsets / SIGMA) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        size = values.shape[axis] - 2 * RADIUS
        values = sum(
            weight * values.take(range(index, index + size), axis=axis)
            for index, weight in enumerate(weights)
        )
    return values


def _check(picture: Pixels, reference: Pixels) -> None:
    if picture.shape != reference.shape:
        raise ValueError(f"pictures of {picture.shape} and {reference.shape} cannot be compared")
