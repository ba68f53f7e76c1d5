"""How alike two pictures are: PSNR and SSIM."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""(height, width, channels), 0 to 255."""

DATA_RANGE = 255.0
SIGMA, RADIUS = 1.5, 5
K1, K2 = 0.01, 0.03
MIDDLE = 128
BLOCK = 48
"""Windows along either side that are looked at in one go: what fits a core's cache, and what
OpenBLAS multiplies on the thread that asks (more than 2^18 products it spreads over all cores)."""


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
    total = sum(
        _similarity(picture[rows, columns], reference[rows, columns])
        for rows in _blocks(height)
        for columns in _blocks(width)
    )
    return total / float(channels * (height - 2 * RADIUS) * (width - 2 * RADIUS))


def _blocks(side: int) -> Iterator[slice]:
    """Parts of a side, each with what the windows reach beyond their centres."""
    windows = side - 2 * RADIUS
    for start in range(0, windows, BLOCK):
        yield slice(start, min(start + BLOCK, windows) + 2 * RADIUS)


def _similarity(picture: Pixels, reference: Pixels) -> float:
    """The sum of the similarities of all windows of a block."""
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
    """Weighted means over every window that lies wholly within the last two axes: products with a
    band of weights, many times faster than sums of shifted copies."""
    rows, columns = (side - 2 * RADIUS for side in values.shape[-2:])
    return _BAND[:rows, : rows + 2 * RADIUS] @ values @ _BAND[:columns, : columns + 2 * RADIUS].T


def _band() -> NDArray[np.float64]:
    """(BLOCK, BLOCK + 2 * RADIUS): the weights of a window in each row."""
    offsets = np.arange(-RADIUS, RADIUS + 1)
    weights = np.exp(-0.5 * (offsets / SIGMA) ** 2)
    band = np.zeros((BLOCK, BLOCK + 2 * RADIUS))
    for row in range(BLOCK):
        band[row, row : row + len(weights)] = weights / weights.sum()
    return band


_BAND = _band()


def _check(picture: Pixels, reference: Pixels) -> None:
    if picture.shape != reference.shape:
        raise ValueError(f"pictures of {picture.shape} and {reference.shape} cannot be compared")
