"""What can be asked of ONNX files: `Studio.networks`."""

from collections.abc import Mapping
from pathlib import Path

from backend.contracts import (
    InputShapes,
    JobKind,
    LanguageExportRequest,
    LookRequest,
    NetworkRequest,
    NetworkSource,
    NetworkView,
    RunRequest,
    TextRequest,
)
from backend.engines.host import this_host
from backend.errors import Code, StudioError
from backend.jobs.queue import BUILD
from backend.models.catalog import variant_key
from backend.models.requests import MAX_SEED
from backend.networks.files import (
    file_to_write,
    find_file,
    folder_of_files,
    list_files,
    name_of,
)
from backend.networks.phases import runnable
from backend.networks.plan import check_network_request
from backend.networks.profile import Sizes, free_dimensions, shapes_of
from backend.studio.desk import Desk


class Networks:
    """Raises StudioError TOO_MANY_WAITING from all that queues a job."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def files(self) -> tuple[str, ...]:
        """The ONNX files in the home's folder for them, by their path inside it."""
        return list_files(self._desk.settings)

    def file_to_upload(self, name: str) -> Path:
        """Where an uploaded file goes. Raises StudioError ONNX_NAME_INVALID, ONNX_NAME_TAKEN."""
        return file_to_write(self._desk.settings, name)

    def dimensions(self, view: NetworkView) -> dict[str, Sizes]:
        """What can be chosen of the shapes: smallest, tuned and largest size by free dimension."""
        return free_dimensions(view)

    def shapes(self, view: NetworkView, sizes: Mapping[str, Sizes]) -> tuple[InputShapes, ...]:
        """The shapes of all inputs for chosen sizes. Raises StudioError PROFILE_INVALID."""
        return shapes_of(view, sizes)

    def look(self, request: LookRequest, owner: str | None) -> str:
        """Queue a look into an ONNX file; the job's id, whose result is a NetworkView.

        Raises StudioError ONNX_NOT_FOUND, ONNX_NOT_ALLOWED.
        """
        place = self._place(request.source, owner)
        variant = f"{name_of(Path(place))}/onnx"
        queue = BUILD if request.source.repo else None
        return self._desk.submit(JobKind.LOOK, owner, place, variant, request, 1.0, queue)

    def build(self, request: NetworkRequest, owner: str | None) -> str:
        """Queue the building of an engine from an ONNX file; the job's id.

        Raises StudioError ONNX_NOT_FOUND, ONNX_NOT_ALLOWED, VARIANT_UNKNOWN, PROFILE_INVALID,
        TARGET_UNSUPPORTED, TENSORRT_MISSING.
        """
        place = self._place(request.source, owner)
        target = check_network_request(request, this_host())
        variant = f"{name_of(Path(place))}/{target}"
        return self._desk.submit(JobKind.NETWORK, owner, place, variant, request, 1.0)

    def run(self, request: RunRequest, owner: str | None) -> str:
        """Queue a run of an engine of an ONNX file beside the original; the job's id.

        Raises StudioError SEED_OUT_OF_RANGE, ENGINE_NOT_FOUND, ENGINE_NOT_RUNNABLE, ONNX_NOT_FOUND,
        ONNX_NOT_ALLOWED.
        """
        if not 0 <= request.seed <= MAX_SEED:
            raise StudioError(Code.SEED_OUT_OF_RANGE, value=request.seed, limit=MAX_SEED)
        if request.inputs is not None:
            self._place(NetworkSource(file=request.inputs), owner)
        return self._submit_run(JobKind.RUN, request.engine, request.engine, request, owner)

    def write(self, request: TextRequest, owner: str | None) -> str:
        """Queue greedy text from an engine of an exported language model; the job's id.

        Raises StudioError ENGINE_NOT_FOUND, ENGINE_NOT_RUNNABLE.
        """
        return self._submit_run(JobKind.TEXT, request.engine, request.prompt, request, owner)

    def export_language_model(self, request: LanguageExportRequest, owner: str | None) -> str:
        """Queue the export of a causal language model to `onnx_files`; the job's id.

        Raises StudioError ONNX_NAME_INVALID, ONNX_NAME_TAKEN, ONNX_NOT_ALLOWED.
        """
        name = request.name or Path(request.model).name
        file_to_write(self._desk.settings, name)
        if Path(request.model).is_dir() and not self._anywhere(owner):
            folder = str(folder_of_files(self._desk.settings))
            raise StudioError(Code.ONNX_NOT_ALLOWED, file=request.model, folder=folder)
        kind = JobKind.LANGUAGE_EXPORT
        return self._desk.submit(kind, owner, request.model, f"{name}/onnx", request, 1.0)

    def _anywhere(self, owner: str | None) -> bool:
        """Files outside the home's folder may be named by who sits at this machine: at its command
        line, or on the page of a studio that is not open to the network."""
        return owner is None or self._desk.settings.auth is None

    def _place(self, source: NetworkSource, owner: str | None) -> str:
        if source.repo is not None:
            return f"{source.repo}/{source.file}"
        find_file(self._desk.settings, source, self._anywhere(owner))
        return source.file

    def _submit_run(
        self,
        kind: JobKind,
        engine_id: str,
        title: str,
        request: RunRequest | TextRequest,
        owner: str | None,
    ) -> str:
        made = runnable(self._desk.settings, engine_id).manifest
        key = variant_key(made.model, made.precision, made.runtime)
        return self._desk.submit(kind, owner, title, key, request, 1.0)
