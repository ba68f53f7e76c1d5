"""From the build form to a request: the calibration's fields are those that the precision has."""

from pathlib import Path

import pytest

from backend.contracts import CalibrationChoices, Precision, Runtime
from backend.engines.options import calibration_choices, settled
from backend.errors import Code, StudioError
from backend.models.catalog import find_model
from backend.quantize.prompts import keep_prompts
from backend.settings import Settings
from backend.studio import Studio
from tests.unit.test_engine_plan import DEMO, asked
from ui.parts.calibration_fields import calibration_fields
from ui.tabs.engine_form import BuildForm, Choice, read_build

EVERYTHING = BuildForm(calibration_level="2.5", alpha="0.4", percentile="0.99", prompts="7")


def choices(tmp_path: Path, precision: str, **values: object) -> CalibrationChoices | None:
    return calibration_choices(Settings(home=tmp_path), asked(precision=precision, **values), DEMO)


@pytest.fixture
def choice(studio: Studio) -> Choice:
    model = studio.models.find("demo-flux")
    return Choice(model=model, precision=Precision.INT8, runtime=Runtime.ONNXRUNTIME)


@pytest.mark.parametrize(
    ("precision", "fields", "read"),
    [
        ("int8", {"calibration_level", "alpha"}, (2.5, 0.4, None, 7)),
        ("nvfp4", {"calibration_level"}, (2.5, None, None, 7)),
        ("bf16", set(), (None, None, None, None)),
    ],
)
def test_only_what_the_precision_has_is_shown_and_read(
    choice: Choice, tmp_path: Path, precision: str, fields: set[str], read: tuple[float | None, ...]
) -> None:
    offered = choices(tmp_path, precision)
    html = calibration_fields(EVERYTHING, offered, "demo-flux", "ko") if offered else ""
    assert {name for name in BuildForm.model_fields if f'id="build-{name}"' in html} - {
        "prompts",
        "steps",
        "own_prompts",
    } == fields
    request = read_build(EVERYTHING, choice, offered)
    assert (
        request.level,
        request.smoothquant_alpha,
        request.percentile,
        request.calibration_prompts,
    ) == read


def test_convolutions_have_a_percentile_and_nvfp4_no_level_of_its_own_for_them(
    tmp_path: Path,
) -> None:
    settings = Settings(home=tmp_path)
    sdxl = find_model(settings, "sdxl-1.0")
    int8, nvfp4 = (
        calibration_choices(settings, asked(model=sdxl.id, precision=precision), sdxl)
        for precision in ("int8", "nvfp4")
    )
    assert int8 and (int8.levels[0], int8.percentile, int8.smoothquant_alpha) == (1, 1.0, 0.8)
    assert nvfp4 and (nvfp4.levels[0], nvfp4.percentile) == (2, None)


@pytest.mark.parametrize("alpha", ["half", "1,5", "--1", "1e400"])
def test_a_field_that_holds_no_number_is_refused(
    choice: Choice, tmp_path: Path, alpha: str
) -> None:
    with pytest.raises(StudioError) as refusal:
        read_build(BuildForm(alpha=alpha), choice, choices(tmp_path, "int8"))
    assert refusal.value.code is Code.INVALID_REQUEST
    assert "SmoothQuant 알파" in refusal.value.info.message("ko")


def test_a_few_prompts_of_ones_own_are_all_watched(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    digest = keep_prompts(tmp_path, ("one", "two"))
    offered = choices(tmp_path, "int8", prompts=digest)
    assert offered and (offered.prompts, offered.prompts_found) == (2, 2)
    assert settled(settings, asked(prompts=digest), DEMO).calibration_prompts == 2
    many = settled(settings, asked(prompts=digest, calibration_prompts=5), DEMO)
    assert many.calibration_prompts == 5
    assert settled(settings, asked(), DEMO).calibration_prompts is None
    gone = choices(tmp_path, "int8", prompts="0" * 64)
    assert gone and (gone.prompts, gone.prompts_found) == (32, 0)
