"""PSNR and SSIM against a plain implementation that looks at one window after another."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from backend.contracts import PicturePair, Precision, Runtime
from backend.images.quality import Pixels, psnr, ssim
from backend.quantize.images.summary import summary

SIDE, SIGMA = 11, 1.5


def noisy(seed: int, spread: int, height: int = 17, width: int = 14) -> tuple[Pixels, Pixels]:
    """A picture of a gradient and the same with noise."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    plain = np.stack([rows * 9, columns * 15, (rows + columns) * 7], axis=-1).clip(0, 255)
    noise = random.integers(-spread, spread + 1, plain.shape)
    return (plain + noise).clip(0, 255).astype(np.uint8), plain.astype(np.uint8)


def slow_ssim(one: Pixels, other: Pixels) -> float:
    """Equation 13 of Wang et al. 2004, window by window, in pure Python."""
    offsets = [index - SIDE // 2 for index in range(SIDE)]
    weights = [[math.exp(-(a * a + b * b) / (2 * SIGMA**2)) for b in offsets] for a in offsets]
    total = sum(map(sum, weights))
    found = []
    for channel in range(one.shape[2]):
        for top in range(one.shape[0] - SIDE + 1):
            for left in range(one.shape[1] - SIDE + 1):
                cells = [
                    (
                        weights[a][b] / total,
                        float(one[top + a, left + b, channel]),
                        float(other[top + a, left + b, channel]),
                    )
                    for a in range(SIDE)
                    for b in range(SIDE)
                ]
                mean_x = sum(w * x for w, x, _ in cells)
                mean_y = sum(w * y for w, _, y in cells)
                var_x = sum(w * (x - mean_x) ** 2 for w, x, _ in cells)
                var_y = sum(w * (y - mean_y) ** 2 for w, _, y in cells)
                both = sum(w * (x - mean_x) * (y - mean_y) for w, x, y in cells)
                c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
                top_line = (2 * mean_x * mean_y + c1) * (2 * both + c2)
                found.append(top_line / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)))
    return sum(found) / len(found)


@pytest.mark.parametrize("spread", [1, 20, 200])
def test_ssim_is_that_of_the_paper(spread: int) -> None:
    picture, reference = noisy(spread, spread)
    assert ssim(picture, reference) == pytest.approx(slow_ssim(picture, reference), abs=1e-9)


@pytest.mark.parametrize(("height", "width"), [(11, 11), (58, 59), (131, 97)])
def test_both_are_those_of_scikit_image(height: int, width: int) -> None:
    """Of pictures that are less than a block of windows, just about one, and several."""
    for spread in (1, 60):
        picture, reference = noisy(5, spread, height, width)
        alike = structural_similarity(
            *(reference, picture),
            gaussian_weights=True,
            sigma=SIGMA,
            use_sample_covariance=False,
            data_range=255,
            channel_axis=2,
        )
        assert ssim(picture, reference) == pytest.approx(alike, abs=1e-6)
        decibels = peak_signal_noise_ratio(reference, picture)
        assert psnr(picture, reference) == pytest.approx(decibels, abs=1e-6)


def test_psnr_is_the_peak_over_the_mean_square() -> None:
    picture, reference = noisy(0, 20)
    pairs = zip(picture.ravel().tolist(), reference.ravel().tolist(), strict=True)
    squares = [(a - b) ** 2 for a, b in pairs]
    wanted = 10 * math.log10(255**2 / (sum(squares) / len(squares)))
    assert psnr(picture, reference) == pytest.approx(wanted)
    black, white = np.zeros((11, 11, 3), np.uint8), np.full((11, 11, 3), 255, np.uint8)
    assert psnr(black, white) == 0


def test_the_same_picture_has_no_noise() -> None:
    picture, _ = noisy(1, 50)
    assert psnr(picture, picture) is None
    assert ssim(picture, picture) == pytest.approx(1.0)


def test_more_noise_is_less_alike() -> None:
    scores = [
        (psnr(*noisy(3, spread)) or 0, ssim(*noisy(3, spread))) for spread in (2, 10, 40, 120)
    ]
    assert scores == sorted(scores, reverse=True)


def test_pictures_that_cannot_be_compared_are_refused() -> None:
    small: NDArray[np.uint8] = np.zeros((10, 40, 3), np.uint8)
    for measure in (psnr, ssim):
        with pytest.raises(ValueError, match="cannot be compared"):
            measure(small, np.zeros((40, 10, 3), np.uint8))
    with pytest.raises(ValueError, match="smaller than the window"):
        ssim(small, small)


def pair(decibels: float | None, alike: float) -> PicturePair:
    return PicturePair(
        prompt="a", seed=0, reference="a", quantised="b", psnr_db=decibels, ssim=alike
    )


@pytest.mark.parametrize(
    ("found", "middle", "spread"),
    [
        ([30.0, 20.0, 40.0], 30.0, (20.0, 40.0)),
        ([30.0, None, 20.0], 30.0, (20.0, 30.0)),
        ([None, None, 20.0], None, (20.0, 20.0)),
        ([None, None], None, None),
    ],
)
def test_pictures_that_are_the_same_are_the_best(
    found: list[float | None], middle: float | None, spread: tuple[float, float] | None
) -> None:
    pairs = [pair(one, 0.5) for one in found]
    quality = summary(pairs, simulated=True, runtime=Runtime.TORCH, reference=Precision.FP32)
    assert quality.psnr_db == middle
    assert quality.identical == found.count(None) and quality.pictures == len(found)
    told = quality.psnr_spread
    assert (told and (told.worst, told.best)) == spread
    assert quality == type(quality).model_validate_json(quality.model_dump_json())
