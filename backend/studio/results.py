"""What was quantised here: `Studio.results`."""

import shlex
from contextlib import suppress
from pathlib import Path

from backend.chat.fetch import is_repository
from backend.chat.models import CHECKPOINTS, find_language_model, read_language_model
from backend.chat.servers.house import this_machine
from backend.chat.servers.shown import PORT, serve_commands
from backend.chat.simulation import can_simulate, simulated_folder
from backend.contracts import (
    Agreement,
    CheckpointManifest,
    JobKind,
    JobState,
    PicturesView,
    PushRequest,
    ResultEntry,
    ResultView,
    ServeCommand,
    StorageItem,
    StorageKind,
)
from backend.errors import Code, StudioError
from backend.jobs.store import jobs
from backend.quantize.images.results import PICTURES
from backend.quantize.language.agreement import (
    Told,
    compare,
    find_server,
    keep_agreement,
    kept_agreement,
)
from backend.quantize.language.push import check_push
from backend.quantize.language.results import JOB, Made, entry_of, find_made
from backend.quantize.language.script import command_of, script_of_manifest
from backend.studio.chat import Chat
from backend.studio.desk import LOCAL, Desk
from backend.studio.disk import Disk
from backend.studio.picture_results import PictureResults

SUCCEEDED = (jobs.c.kind == str(JobKind.QUANTIZE)) & (jobs.c.state == str(JobState.SUCCEEDED))


class Results:
    """Checkpoints in the studio's own folder are shown to everybody, as the chat's models are; one
    elsewhere to who made it. Where people sign in, only who made one may take its files, push it
    or delete it. What came of picture models is its owner's alone.

    Raises StudioError CHECKPOINT_NOT_FOUND for a key that means none, and CHECKPOINT_NOT_YOURS.
    """

    def __init__(self, desk: Desk, chat: Chat, disk: Disk) -> None:
        self._desk, self._chat, self._disk = desk, chat, disk
        self._pictures = PictureResults(desk)

    def list(self, owner: str | None) -> tuple[ResultEntry, ...]:
        """The newest first. One whose manifest cannot be read says why."""
        found = [entry_of(made, self._mine(made, owner)) for made in self._made(owner)]
        found += self._pictures.list(owner)
        return tuple(sorted(found, key=lambda entry: -entry.made_at))

    def show(self, key: str, owner: str | None) -> ResultView | PicturesView:
        """One of `list`, or the checkpoint that the job of `job:<id>` made."""
        if key.startswith(PICTURES):
            return self._pictures.show(key, owner)
        made = self._find(key, owner)
        entry = entry_of(made, self._mine(made, owner))
        home = self._desk.settings.home
        manifest = None if entry.problem else made.manifest
        request = manifest.request if manifest else None
        return ResultView(
            entry=entry,
            manifest=manifest,
            files=made.files,
            command=command_of(request, home) if request else None,
            script=self._script(manifest, made.folder.name) if manifest else None,
            evaluation=evaluation_command(made.folder.name),
            agreement=kept_agreement(made.folder),
        )

    def serve_commands(self, key: str, owner: str | None) -> tuple[ServeCommand, ...]:
        """How servers are started by hand. Raises StudioError ARCHITECTURE_UNSUPPORTED,
        MODEL_FILES_CORRUPTED."""
        settings = self._desk.settings
        model = read_language_model(self._find(key, owner).folder)
        return serve_commands(settings, model, this_machine(settings))

    def file(self, key: str, name: str, owner: str | None) -> Path:
        """A file of a result, to be handed out."""
        if key.startswith(PICTURES):
            return self._pictures.file(key, name, owner)
        made = self._find(key, owner, change=True)
        if name not in {file.name for file in made.files}:
            raise StudioError(Code.CHECKPOINT_NOT_FOUND, result=f"{key}/{name}"[:200])
        return made.folder / name

    async def agree(
        self,
        key: str,
        owner: str | None,
        server: str | None = None,
        reference: str | None = None,
        on_done: Told = lambda done, total: None,
    ) -> Agreement:
        """How far a live server of the checkpoint answers as one of its original; kept beside it.
        `server` and `reference` are keys of servers, found by their models where left out.

        Raises StudioError CHECKPOINT_MANIFEST_BROKEN, AGREEMENT_SERVER_MISSING, and how answers of
        the servers fail.
        """
        made = self._find(key, owner)
        manifest = made.manifest
        model = read_language_model(made.folder)
        names = [made.folder.name, str(made.folder)]
        if can_simulate(model):
            names.append(simulated_folder(self._desk.settings, model).name)
        running = self._chat.servers()
        asked = find_server(running, server, tuple(names))
        source = manifest.source
        original = find_server(running, reference, (source, Path(source).name))
        found = await compare(self._chat.answer, asked, original, made.folder, on_done)
        try:
            keep_agreement(made.folder, found)
        except OSError as error:
            path = str(made.folder)
            raise StudioError(Code.FOLDER_NOT_WRITABLE, repr(error), path=path) from error
        return found

    def push(
        self, key: str, repo: str, owner: str | None, private: bool = True, existing: bool = False
    ) -> str:
        """Queue the upload to the hub; the job's id, whose result is a PushResult.

        Raises StudioError CHECKPOINT_MANIFEST_BROKEN, PUSH_NAME_INVALID, PUSH_TOKEN_MISSING,
        PUSH_OFFLINE, TOO_MANY_WAITING.
        """
        made = self._find(key, owner, change=True)
        size = made.manifest.size.whole_bytes
        check_push(repo)
        request = PushRequest(model=str(made.folder), repo=repo, private=private, existing=existing)
        variant = f"{made.folder.name}/push"[:200]
        return self._desk.submit(JobKind.PUSH, owner, repo, variant, request, max(size, 1) / 2**20)

    def delete(self, key: str, owner: str | None) -> StorageItem:
        """Delete a checkpoint, or a picture model's pictures with their job; what went.

        Raises StudioError CHECKPOINT_KEPT while it is served or used, CHECKPOINT_OUTSIDE for one
        that is not below the studio's folder.
        """
        if key.startswith(PICTURES):
            return self._pictures.delete(key, owner)
        made = self._find(key, owner, change=True)
        if made.folder.parent != self._desk.settings.home / CHECKPOINTS:
            raise StudioError(Code.CHECKPOINT_OUTSIDE, path=str(made.folder))
        groups = self._disk.storage(owner).groups
        group = next((one for one in groups if one.kind is StorageKind.CHECKPOINTS), None)
        items = [item for item in (group.items if group else ()) if item.name == made.folder.name]
        done = self._disk.clean_up(tuple(item.key for item in items), owner)
        for item in done.kept:
            if item.kept is not None:
                raise StudioError(Code.CHECKPOINT_KEPT, name=item.name, reason=item.kept)
        if not done.gone:
            raise StudioError(Code.CHECKPOINT_NOT_FOUND, result=key[:200])
        return done.gone[0]

    def _script(self, manifest: CheckpointManifest, name: str) -> str | None:
        """Of a model of this studio by its folder, as nobody else knows its name."""
        settings, source = self._desk.settings, manifest.source
        if not is_repository(source):
            with suppress(StudioError):
                source = find_language_model(settings, source).folder
        return script_of_manifest(manifest, source, f"{name}-again", settings.home)

    def _made(self, owner: str | None) -> tuple[Made, ...]:
        """All that `owner` may see."""
        rows = self._desk.store.select(SUCCEEDED)
        found = find_made(self._desk.settings, rows)
        return tuple(
            made for made in found if not made.key.startswith(JOB) or self._mine(made, owner)
        )

    def _mine(self, made: Made, owner: str | None) -> bool:
        everybody = owner is None or self._desk.settings.auth is None
        return everybody or made.owner == (owner or LOCAL)

    def _find(self, key: str, owner: str | None, change: bool = False) -> Made:
        found = {made.key: made for made in self._made(owner)}
        made = found.get(key)
        if made is None and key.startswith(JOB):
            row = self._desk.store.find(key.removeprefix(JOB))
            path = ((row.result or {}).get("checkpoint") or {}).get("path") if row else None
            made = next((each for each in found.values() if str(each.folder) == path), None)
        if made is None:
            raise StudioError(Code.CHECKPOINT_NOT_FOUND, result=key[:200])
        if change and not self._mine(made, owner):
            raise StudioError(Code.CHECKPOINT_NOT_YOURS, name=made.folder.name)
        return made


def evaluation_command(model: str) -> str:
    """Of lm-eval against a server at the port of `serve_commands`: a task that needs no likelihoods
    of given answers, which chat endpoints do not tell."""
    values = {
        "model": model,
        "base_url": f"http://127.0.0.1:{PORT}/v1/chat/completions",
        "num_concurrent": "1",
        "tokenized_requests": "False",
    }
    words = ["lm-eval", "--model", "local-chat-completions", "--model_args"]
    words.append(",".join(f"{name}={value}" for name, value in values.items()))
    return shlex.join([*words, "--tasks", "gsm8k", "--apply_chat_template"])
