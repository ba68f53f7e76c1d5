"""The line to copy asks for what was asked for."""

import ast
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from backend.commands.quantize import quantize
from backend.contracts import QuantizeRequest
from backend.quantize.language.script import command_of, script_of
from backend.quantize.language.texts import Row, keep_rows

DIGEST = "0" * 64


def parsed(line: str) -> dict[str, Any]:
    """What the command makes of the words of a line."""
    app = typer.Typer()
    app.command()(quantize)
    command = get_command(app)
    words = shlex.split(line)
    assert words[:2] == ["spark-studio", "quantize"]
    return command.make_context("quantize", words[2:]).params


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"recipe": "fp8", "calibration": "demo-chat", "samples": 8, "length": 64, "batch": 1},
        {"leave_out": ("model.layers.0.*", "*down_proj"), "kv_cache": "fp8_cast"},
        {"out": "/a folder/with 'quotes'", "replace": True, "evaluation_tokens": 256},
        {"effective_bits": 6.5, "recipe": "fp8"},
    ],
)
def test_the_command_is_the_request_again(changes: dict[str, Any], tmp_path: Path) -> None:
    request = QuantizeRequest(model="some/model", **changes)
    line = command_of(request, tmp_path)
    found = parsed(line)
    plain = QuantizeRequest(model="some/model")
    for name in ("model", "recipe", "kv_cache", "calibration", "samples", "length", "batch",
                 "effective_bits", "replace", "evaluation_tokens"):  # fmt: skip
        given = found["score_tokens" if name == "evaluation_tokens" else name]
        assert (getattr(plain, name) if given is None else given) == getattr(request, name), name
    assert tuple(found["leave_out"] or ()) == request.leave_out
    assert found["out"] == (request.out and Path(request.out))
    if not changes:
        assert line == "spark-studio quantize --model some/model --recipe nvfp4"


def test_texts_of_ones_own_are_named_by_their_files(tmp_path: Path) -> None:
    rows = [Row(f"Text {index}.") for index in range(20)]
    digest = keep_rows(tmp_path, rows)
    request = QuantizeRequest(model="m", calibration=digest, evaluation=digest)
    found = parsed(command_of(request, tmp_path))
    assert Path(found["calibration"]).read_bytes() == found["evaluation"].read_bytes()
    script = script_of(request, "m", [], "out", tmp_path)
    assert str(found["evaluation"]) in script and "for scoring" not in script


@pytest.mark.parametrize("changes", [{}, {"effective_bits": 6.5}, {"kv_cache": "fp8"}])
def test_every_kind_of_script_is_python_of_what_was_asked(changes: dict[str, Any]) -> None:
    request = QuantizeRequest(model="it's/odd", recipe="fp8", samples=9, **changes)
    script = script_of(request, request.model, ["a.b"], 'out"', Path())
    names = {
        target.id: ast.literal_eval(node.value)
        for node in ast.parse(script).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id.isupper()
    }
    assert names.items() >= {"MODEL": "it's/odd", "OUT": 'out"', "LEFT_OUT": ["a.b"]}.items()
    assert ("auto_quantize" in script) == ("effective_bits" in changes)
    assert ("KV_QUANT_CFG_CHOICES" in script) == ("kv_cache" in changes)
