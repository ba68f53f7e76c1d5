from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.errors import Code, StudioError
from backend.images.png import read_request, save_png
from tests.support import request


def picture() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def test_a_png_carries_its_request_and_its_pixels(tmp_path: Path) -> None:
    asked = request(prompt="분홍 <b>하트</b> & “quotes”\nsecond line")
    file = tmp_path / "a" / "picture.png"
    save_png(picture(), file, asked)
    assert read_request(file) == asked
    with Image.open(file) as saved:
        assert (np.asarray(saved) == np.asarray(picture())).all()
        assert saved.info["parameters"].startswith(asked.prompt)
    assert [path.name for path in file.parent.iterdir()] == ["picture.png"]


def test_a_full_disk_leaves_no_half_picture(tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    file.with_suffix(".part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        save_png(picture(), file, request())
    assert list(tmp_path.iterdir()) == []


def refused(file: Path) -> Code:
    with pytest.raises(StudioError) as refusal:
        read_request(file)
    return refusal.value.code


def test_a_png_without_a_request_is_said_to_be_one(tmp_path: Path) -> None:
    picture().save(tmp_path / "plain.png")
    assert refused(tmp_path / "plain.png") is Code.IMAGE_WITHOUT_SETTINGS


@pytest.mark.parametrize("carried", ["{}", "[", '{"prompt": 3}', "[" * 100_000])
def test_a_request_edited_by_hand_is_refused(tmp_path: Path, carried: str) -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_itxt("spark_studio", carried)
    picture().save(tmp_path / "edited.png", pnginfo=info)
    assert refused(tmp_path / "edited.png") is Code.IMAGE_WITHOUT_SETTINGS


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n cut"])
def test_what_is_no_picture_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.png").write_bytes(content)
    assert refused(tmp_path / "file.png") is Code.IMAGE_UNREADABLE
