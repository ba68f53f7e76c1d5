"""Engines on disk: where they are, what made them, and whether they still fit this machine.

An engine's folder is written under a temporary name and renamed when whole, so that what is listed
is finished. Nothing here imports a runtime.
"""

import hashlib
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from backend.contracts import (
    Engine,
    EngineManifest,
    EngineProfile,
    EngineState,
    Precision,
    Runtime,
)
from backend.engines.sources import fingerprint_now
from backend.errors import Code, StudioError
from backend.hardware.targets import part_name
from backend.language import Text, text
from backend.models import files
from backend.models.catalog import find_models
from backend.settings import Settings

FORMAT = 2
"""Raised when exports or engines of an older studio must be made again."""
MANIFEST = "manifest.json"
LAYERS = "layers.json"
ONNX = "model.onnx"
FUSED = "fused.json"
"""The layers after fusion, where they are known."""
TIMES = "times.json"
"""Milliseconds of these layers by name, where they were measured."""
CHUNK_BYTES = 4 * 1024**2


@dataclass(frozen=True)
class Host:
    """What decides whether an engine runs here."""

    target: str
    """`cpu`, or this machine's compute capability like sm121."""
    gpu: str | None
    sm_count: int | None
    versions: dict[str, str]
    """By edition, of what is installed."""


@dataclass(frozen=True)
class EngineKey:
    """All that makes one engine another than the next."""

    model: str
    fingerprint: str
    module: str
    precision: Precision
    runtime: Runtime
    edition: str
    version: str
    target: str
    gpu: str | None
    sm_count: int | None
    profile: EngineProfile | None
    options: str
    """What else was asked of the builder and of the calibration."""

    @property
    def id(self) -> str:
        parts = [str(FORMAT), *(str(value) for value in vars(self).values())]
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:10]
        return f"{self.model}.{self.module}.{self.precision}.{self.edition}.{self.target}.{digest}"


def folder_of(settings: Settings, engine_id: str) -> Path:
    """An engine's folder, and no other one whatever the id. Raises StudioError ENGINE_NOT_FOUND."""
    folder = settings.home / "engines" / engine_id
    if "/" in engine_id or engine_id.startswith(".") or not (folder / MANIFEST).is_file():
        raise StudioError(Code.ENGINE_NOT_FOUND, engine=engine_id[:120])
    return folder


def read_manifest(folder: Path) -> EngineManifest | None:
    """None when there is none that this studio can read."""
    try:
        data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return EngineManifest.model_validate(data)
    except (OSError, ValueError, ValidationError):
        return None


def register(settings: Settings, manifest: EngineManifest, unfinished: Path) -> Path:
    """Make a finished folder the engine; takes the place of an older one of the same id."""
    (unfinished / MANIFEST).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
    folder = settings.home / "engines" / manifest.id
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists():
        shutil.rmtree(folder)
    unfinished.replace(folder)
    return folder


def list_engines(settings: Settings, host: Host) -> tuple[Engine, ...]:
    """Every engine, newest first."""
    models = find_models(settings)
    found = []
    for folder in (settings.home / "engines").glob("[!.]*/"):
        manifest = read_manifest(folder)
        if manifest is not None:
            fingerprint = fingerprint_now(manifest, models.get(manifest.model))
            state, reason = standing(manifest, folder, fingerprint, host)
            found.append(Engine(manifest=manifest, state=state, reason=reason))
    return tuple(sorted(found, key=lambda engine: -engine.manifest.created_at))


def find_engine(settings: Settings, engine_id: str, host: Host) -> Engine:
    """Raises StudioError ENGINE_NOT_FOUND."""
    folder = folder_of(settings, engine_id)
    manifest = read_manifest(folder)
    if manifest is None:
        raise StudioError(Code.ENGINE_NOT_FOUND, engine=engine_id[:120])
    fingerprint = fingerprint_now(manifest, find_models(settings).get(manifest.model))
    state, reason = standing(manifest, folder, fingerprint, host)
    return Engine(manifest=manifest, state=state, reason=reason)


def standing(
    manifest: EngineManifest, folder: Path, fingerprint: str | None, host: Host
) -> tuple[EngineState, Text]:
    """Where an engine stands on `host`, and why; `fingerprint` is that of its source now, None when
    it is gone."""
    file = folder / manifest.file
    if not file.is_file():
        return EngineState.BROKEN, text("engine.file_missing", file=manifest.file)
    size = size_of(file)
    if size != manifest.size_bytes:
        return EngineState.BROKEN, text(
            "engine.file_cut", size_bytes=size, expected_bytes=manifest.size_bytes
        )
    if manifest.format != FORMAT:
        return EngineState.STALE, text("engine.older_format")
    if fingerprint is None:
        return EngineState.STALE, text("engine.model_gone", model=manifest.model)
    if fingerprint != manifest.model_fingerprint:
        return EngineState.STALE, text("engine.model_changed", model=manifest.model)
    installed = host.versions.get(manifest.edition)
    if installed != manifest.version:
        return EngineState.STALE, text(
            "engine.version_changed", built=manifest.version, installed=installed or "-"
        )
    if manifest.target not in ("cpu", host.target):
        part = part_name(manifest.target)
        if host.gpu is None:
            return EngineState.OTHER_GPU, text(
                "engine.needs_gpu", part=part, target=manifest.target
            )
        return EngineState.OTHER_GPU, text(
            "engine.other_target", part=part, target=manifest.target, here=host.gpu
        )
    if manifest.sm_count is not None and manifest.sm_count != host.sm_count:
        return EngineState.OTHER_GPU, text(
            "engine.other_part", gpu=manifest.gpu or manifest.target, count=manifest.sm_count
        )
    return EngineState.VALID, text("engine.valid")


def delete_engine(settings: Settings, engine_id: str) -> int:
    """Delete an engine; the bytes freed. Raises StudioError ENGINE_NOT_FOUND."""
    folder = folder_of(settings, engine_id)
    freed = files.folder_bytes(folder)
    gone = folder.with_name(f".{folder.name}.{time.time_ns()}")
    folder.replace(gone)
    shutil.rmtree(gone)
    return freed


def data_file(file: Path) -> Path:
    """Where the weights of an ONNX file are, if not in it."""
    return file.with_name(f"{file.name}.data")


def _with_data(file: Path) -> tuple[Path, ...]:
    return (file, data) if (data := data_file(file)).is_file() else (file,)


def size_of(file: Path) -> int:
    """Bytes of an engine's file and of its data file."""
    return sum(one.stat().st_size for one in _with_data(file))


def sha256_of(file: Path) -> str:
    """Digest of a file, the data file beside it included."""
    digest = hashlib.sha256()
    for one in _with_data(file):
        with one.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()
