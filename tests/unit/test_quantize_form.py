"""From the wizard's fields to a request and back."""

import pytest

from backend.contracts import QuantizeRequest
from backend.errors import Code, StudioError
from ui.parts.quantize_form import QuantizeForm, dataset_of, fields_of, request_of

ASKED = QuantizeRequest(
    model="/models/mine",
    recipe="fp8",
    kv_cache="fp8",
    leave_out=("model.layers.0.*", "*down_proj"),
    calibration="a" * 64,
    evaluation="b" * 64,
    samples=8,
    length=64,
    batch=2,
    evaluation_tokens=256,
    out="/somewhere",
    replace=True,
)


@pytest.mark.parametrize("asked", [ASKED, QuantizeRequest(model="a/b", effective_bits=6.5)])
def test_a_request_comes_back_from_its_fields(asked: QuantizeRequest) -> None:
    assert request_of(QuantizeForm(**fields_of(asked))) == asked


def test_an_empty_field_stands_for_what_is_usual() -> None:
    assert request_of(QuantizeForm()) == QuantizeRequest(model="demo-chat")
    form = QuantizeForm(dataset=" a/b ", rows="")
    assert (dataset_of(form).dataset, dataset_of(form).split) == ("a/b", "train")


@pytest.mark.parametrize("name", ["", "/etc", "../x", "a/..", "assets/calibration/x", "json"])
def test_a_data_set_is_never_a_path(name: str) -> None:
    with pytest.raises(StudioError) as refusal:
        dataset_of(QuantizeForm(dataset=name))
    assert "maker/name" in str(refusal.value)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("samples", "many", "Sequences"),
        ("length", "8", "≥ 16"),
        ("effective_bits", "99", "< 16"),
        ("effective_bits", "five", "Effective bits"),
    ],
)
def test_what_cannot_be_is_named_with_its_limits(field: str, value: str, said: str) -> None:
    with pytest.raises(StudioError) as refusal:
        request_of(QuantizeForm(**{field: value}))
    assert refusal.value.code is Code.INVALID_REQUEST
    assert said in str(refusal.value)
