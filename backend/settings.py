"""The settings: defaults, then one TOML file, then the environment (`STUDIO_<NAME>`).

The TOML file is `STUDIO_CONFIG`, else `studio.toml` in the home folder. An unknown key in either
place is an error. The hub token is no setting: huggingface_hub reads it itself.
"""

import os
import sys
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from backend.errors import Code, StudioError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PREFIX = "STUDIO_"
TextEncoders = Literal["auto", "keep", "unload"]
ASSETS = Path(__file__).resolve().parent.parent / "assets"


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    home: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("spark-studio")))
    """Everything that the studio writes lives below this folder."""
    host: str = "127.0.0.1"
    """Address to listen on; anything but loopback needs `auth` or `visitors`."""
    port: int = Field(default=7860, ge=0, le=65535)
    """Port of the page; 0 takes a free one."""
    auth: Path | None = None
    """File of `name:password` lines; who is not in it does not get in."""
    visitors: bool = False
    """Who comes may make pictures, chat and vote, and nothing else; the host opens the host link,
    which the start prints."""
    visitor_waiting_jobs: int = Field(default=3, ge=1)
    """Jobs that one visitor may have waiting."""
    database_url: str = ""
    """Postgres, as `postgresql://user@host/name`; empty is SQLite in the home folder."""
    models: tuple[Path, ...] = ()
    """More folders to look for models in, each holding one folder a model."""
    memory_budget_bytes: int = Field(default=0, ge=0)
    """What models may hold at once; 0 is four fifths of what was free when the worker began."""
    text_encoders: TextEncoders = "auto"
    """`unload` lets a picture model's text encoders go once a prompt is encoded, `keep` never does,
    `auto` where all its parts together do not fit in the budget."""
    threads: int = Field(default=0, ge=0)
    """CPU threads of a worker; 0 takes all cores but one."""
    max_waiting_jobs: int = Field(default=50, ge=1)
    """Jobs that one person may have waiting."""
    retention_days: float = Field(default=90, gt=0)
    """Finished jobs older than this are deleted with their pictures."""
    retention_bytes: int = Field(default=20 * 1024**3, gt=0)
    """Pictures beyond this size in all are deleted, oldest first."""
    preview_interval_s: float = Field(default=0.2, ge=0)
    """Least time between two preview pictures of a job; 0 turns previews off."""
    worker_lost_s: float = Field(default=120.0, ge=10)
    """A worker that was not heard of for so long is taken for dead by the others."""
    stop_grace_s: float = Field(default=8.0, ge=0)
    """What a worker that is told to stop may take to reach a clean end."""
    chat_url: str = Field(default="", pattern=r"^(https?://[^\s?#@]+)?$")
    """A server with the OpenAI API that you run yourself, as `http://host:8000`; only set here."""
    chat_key: SecretStr = SecretStr("")
    """Key of that server; never shown, stored or sent anywhere else."""
    chat_model: str = ""
    """The model to ask that server for; empty is the first that it lists."""
    chat_images: bool = False
    """That model takes pictures; no server with the OpenAI API tells."""
    chat_context_tokens: int = Field(default=8192, ge=256)
    """Longest conversation that a server started here takes, where its model takes that much."""
    chat_parallel: int = Field(default=4, ge=1, le=256)
    """Conversations at once that a server started here keeps room for."""
    server_start_s: float = Field(default=1800.0, gt=0)
    """What a server may take from start to ready."""
    trtllm_image: str = "nvcr.io/nvidia/tensorrt-llm/release:1.2.1"
    """Container image of TensorRT-LLM; never pulled by the studio."""
    trtllm_docker: str = (
        "docker run --rm --init --name {name} --gpus all --ipc=host --ulimit memlock=-1"
        " --ulimit stack=67108864 --network host {volumes} {environment} {image}"
    )
    """How that container is run; the server's own command follows."""

    similarity_model: str = "openai/clip-vit-base-patch32"
    """CLIP model that tells how alike compared pictures are, where its safetensors are in the hub's
    cache, or a folder of one; it is never fetched by itself. Empty: none."""

    @property
    def outputs(self) -> Path:
        return self.home / "outputs"

    @property
    def previews(self) -> Path:
        return self.home / "previews"


def load_settings(environment: dict[str, str] | None = None, **overrides: Any) -> Settings:
    """Settings from the TOML file, the environment and `overrides`, later ones winning.

    Raises StudioError SETTING_UNKNOWN for a key that does not exist and SETTING_INVALID for a
    value that does not fit.
    """
    environment = dict(os.environ) if environment is None else environment
    given: dict[str, Any] = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX)
    }
    config = given.pop("config", None)
    home = overrides.get("home") or given.get("home") or platformdirs.user_data_dir("spark-studio")
    file = Path(config) if config else Path(home) / "studio.toml"
    values = _read_toml(file, required=config is not None)
    _refuse_unknown(values, str(file))
    _refuse_unknown(given, "environment", PREFIX)
    if "models" in given:
        given["models"] = [part for part in given["models"].split(os.pathsep) if part]
    merged = values | given | {key: value for key, value in overrides.items() if value is not None}
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        raise StudioError(
            Code.SETTING_INVALID,
            str(error),
            name=".".join(str(part) for part in first["loc"]),
            problem=first["msg"],
        ) from error
    return settings.model_copy(update={"home": settings.home.expanduser().absolute()})


def _read_toml(file: Path, required: bool) -> dict[str, Any]:
    if not required and not file.exists():
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise StudioError(Code.SETTING_INVALID, name=str(file), problem=str(error)) from error


def _refuse_unknown(values: dict[str, Any], where: str, prefix: str = "") -> None:
    for name in values:
        if name not in Settings.model_fields:
            shown = (prefix + name).upper() if prefix else name
            raise StudioError(Code.SETTING_UNKNOWN, name=shown, where=where)
