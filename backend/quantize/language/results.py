"""The checkpoints that this studio made, found by their manifests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from backend.chat.models import CHECKPOINTS, MANIFEST
from backend.contracts import (
    CheckpointManifest,
    QuantizeResult,
    ResultEntry,
    ResultFile,
)
from backend.errors import Code, ErrorInfo, StudioError
from backend.jobs.store import JobRow
from backend.quantize.language.recipes import LANGUAGE_RECIPES
from backend.quantize.results import files_of
from backend.settings import Settings

OWN, JOB = "checkpoint:", "job:"
AGREEMENT = "agreement.json"


@dataclass(frozen=True)
class Made:
    """A checkpoint's folder. `owner` is None where no job is known that made it."""

    key: str
    folder: Path
    owner: str | None

    @property
    def manifest(self) -> CheckpointManifest:
        """Raises StudioError CHECKPOINT_MANIFEST_BROKEN."""
        try:
            written = (self.folder / MANIFEST).read_text(encoding="utf-8")
            return CheckpointManifest.model_validate_json(written)
        except (OSError, ValueError, ValidationError) as error:
            name = self.folder.name
            raise StudioError(
                Code.CHECKPOINT_MANIFEST_BROKEN, str(error)[:4000], name=name
            ) from error

    @property
    def files(self) -> tuple[ResultFile, ...]:
        return files_of(self.folder)


def find_made(settings: Settings, rows: Sequence[JobRow]) -> Iterator[Made]:
    """Those in the studio's own folder, and those that `rows`, jobs that have succeeded, wrote
    elsewhere and that are still there."""
    home = settings.home / CHECKPOINTS
    written: dict[Path, JobRow] = {}
    for row in rows:
        try:
            path = Path(QuantizeResult.model_validate(row.result).checkpoint.path)
        except ValidationError:
            continue
        written.setdefault(path, row)
    for file in sorted(home.glob(f"*/{MANIFEST}")):
        folder = file.parent
        if not folder.name.startswith("."):
            known = written.pop(folder, None)
            yield Made(f"{OWN}{folder.name}", folder, known.owner if known else None)
    for path, job in written.items():
        if path.parent != home and (path / MANIFEST).is_file():
            yield Made(f"{JOB}{job.id}", path, job.owner)


def entry_of(made: Made, mine: bool) -> ResultEntry:
    """What a list shows; of one whose manifest cannot be read, why."""
    size = sum(file.size_bytes for file in made.files)
    try:
        manifest = made.manifest
    except StudioError as error:
        return _entry(made, mine, size, error.info)
    known = LANGUAGE_RECIPES.get(manifest.recipe)
    return ResultEntry(
        key=made.key,
        name=made.folder.name,
        path=str(made.folder),
        made_at=manifest.made_at,
        size_bytes=size,
        mine=mine,
        source=manifest.source,
        recipe=manifest.recipe,
        title=known.title if known else manifest.recipe,
        size=manifest.size,
        quality=manifest.quality,
    )


def _entry(made: Made, mine: bool, size: int, problem: ErrorInfo) -> ResultEntry:
    return ResultEntry(
        key=made.key,
        name=made.folder.name,
        path=str(made.folder),
        made_at=(made.folder / MANIFEST).stat().st_mtime,
        size_bytes=size,
        mine=mine,
        problem=problem,
    )
