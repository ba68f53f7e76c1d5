"""How alike two pictures are: PSNR and SSIM."""

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""(height, width, channels), 0 to 255."""

DATA_RANGE = 255.0
SIGMA, RADIUS = 1.5, 5
K1, K2 = 0.01, 0.03
MIDDLE = 128
BLOCK = 48
"""Windows along either side that are blurred at once; found by trying."""


def fits_window(picture: Pixels) -> bool:
    """Whether SSIM's window fits into it."""
    return bool(min(picture.shape[:2]) > 2 * RADIUS)


def psnr(picture: Pixels, reference: Pixels) -> float | None:
    """Peak signal-to-noise ratio over all channels in dB; None where both are the same.

    Raises ValueError for pictures of different sizes.
    """
    _check(picture, reference)
    difference = np.subtract(picture, reference, dtype=np.int16)
    error = np.square(difference, dtype=np.int32).sum(dtype=np.int64) / picture.size
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
    height, width, channels = picture.shape
    rows = height - 2 * RADIUS
    strips = (slice(top, min(top + BLOCK, rows) + 2 * RADIUS) for top in range(0, rows, BLOCK))
    total = sum(_similarity(picture[strip], reference[strip]) for strip in strips)
    return total / float(channels * rows * (width - 2 * RADIUS))


def _similarity(picture: Pixels, reference: Pixels) -> float:
    """The sum of the similarities of all windows of a strip that is 2 * RADIUS rows higher than
    the windows' centres."""
    height, width, channels = picture.shape
    values = np.empty((4, channels, height, width))
    x, y, squares, products = values
    x[:], y[:] = picture.transpose(2, 0, 1), reference.transpose(2, 0, 1)
    values[:2] -= MIDDLE  # what is near zero loses less to rounding
    np.multiply(x, x, out=squares)
    squares += y * y
    np.multiply(x, y, out=products)
    mean_x, mean_y, variances, covariance = _blurred(values)
    c1, c2 = (K1 * DATA_RANGE) ** 2, (K2 * DATA_RANGE) ** 2
    covariance -= mean_x * mean_y
    variances -= mean_x * mean_x
    variances -= mean_y * mean_y
    mean_x += MIDDLE
    mean_y += MIDDLE
    above = 2 * mean_x * mean_y
    above += c1
    covariance *= 2
    covariance += c2
    above *= covariance
    mean_x *= mean_x
    mean_y *= mean_y
    mean_x += mean_y
    mean_x += c1
    variances += c2
    mean_x *= variances
    above /= mean_x
    return float(above.sum())


def _blurred(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted means over every window that lies wholly within the last two axes, flat but for the
    first one. As products of matrices with a band of weights, BLOCK windows at a time: many times
    faster than sums of shifted copies."""
    offsets = np.arange(-RADIUS, RADIUS + 1)
    weights = np.exp(-0.5 * (offsets / SIGMA) ** 2)
    band = np.zeros((BLOCK, BLOCK + 2 * RADIUS))
    for row in range(BLOCK):
        band[row, row : row + len(weights)] = weights / weights.sum()

    def part(count: int) -> NDArray[np.float64]:
        return band[:count, : count + 2 * RADIUS]

    width = values.shape[-1]
    lines = (part(values.shape[-2] - 2 * RADIUS) @ values).reshape(-1, width)
    blurred = np.empty((len(lines), width - 2 * RADIUS))
    for left in range(0, blurred.shape[1], BLOCK):
        target = blurred[:, left : left + BLOCK]
        count = target.shape[1]
        np.matmul(lines[:, left : left + count + 2 * RADIUS], part(count).T, out=target)
    return blurred.reshape(len(values), -1)


def _check(picture: Pixels, reference: Pixels) -> None:
    if picture.shape != reference.shape:
        raise ValueError(f"pictures of {picture.shape} and {reference.shape} cannot be compared")
