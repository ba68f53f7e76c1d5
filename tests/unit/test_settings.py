from pathlib import Path

import pytest

from backend.errors import Code, StudioError
from backend.settings import load_settings


def refused(environment: dict[str, str]) -> StudioError:
    with pytest.raises(StudioError) as refusal:
        load_settings(environment)
    return refusal.value


def test_the_environment_wins_over_the_file_and_an_argument_over_both(tmp_path: Path) -> None:
    (tmp_path / "studio.toml").write_text('port = 1111\nhost = "127.0.0.2"\nthreads = 3\n')
    environment = {"STUDIO_HOME": str(tmp_path), "STUDIO_HOST": "127.0.0.3", "STUDIO_PORT": "2222"}
    settings = load_settings(environment, port=3333)
    assert (settings.threads, settings.host, settings.port) == (3, "127.0.0.3", 3333)
    assert settings.home == tmp_path


def test_an_unknown_variable_is_an_error() -> None:
    error = refused({"STUDIO_PROT": "1"})
    assert error.code is Code.SETTING_UNKNOWN
    assert "STUDIO_PROT" in error.info.message()


def test_an_unknown_key_in_the_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "studio.toml").write_text("colour = 1\n")
    error = refused({"STUDIO_HOME": str(tmp_path)})
    assert error.code is Code.SETTING_UNKNOWN
    assert str(tmp_path) in error.info.message()


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "66000"), ("PORT", "x"), ("RETENTION_DAYS", "-1")]
)
def test_a_value_that_does_not_fit_is_named(name: str, value: str) -> None:
    error = refused({f"STUDIO_{name}": value})
    assert error.code is Code.SETTING_INVALID
    assert name.lower() in error.info.message()


def test_a_file_that_is_asked_for_must_be_there_and_be_toml(tmp_path: Path) -> None:
    assert refused({"STUDIO_CONFIG": str(tmp_path / "no.toml")}).code is Code.SETTING_INVALID
    (tmp_path / "bad.toml").write_text("port = = 1")
    assert refused({"STUDIO_CONFIG": str(tmp_path / "bad.toml")}).code is Code.SETTING_INVALID


def test_model_folders_are_separated_like_a_path() -> None:
    settings = load_settings({"STUDIO_MODELS": "/a:/b"})
    assert settings.models == (Path("/a"), Path("/b"))
