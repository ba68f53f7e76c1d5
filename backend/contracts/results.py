"""What was quantised: checkpoints and compared pictures, and what can be done with one."""

from typing import Literal

from pydantic import Field

from backend.contracts.base import Contract
from backend.contracts.quantize import CheckpointManifest, Quality, RecipeSize
from backend.contracts.quantize_images import DenoiserSize, ImageQuantizeManifest, PictureQuality
from backend.errors import ErrorInfo
from backend.language import Text


class ResultEntry(Contract):
    """A checkpoint, or the pictures of a quantised picture model, as a list shows it."""

    key: str
    """`checkpoint:<name>` in the studio's own folder, `job:<id>` in one that was asked for;
    `pictures:<job id>` of a picture model."""
    name: str
    path: str
    made_at: float
    size_bytes: int
    """Of all files."""
    mine: bool
    """Whether who asks may take its files, push it and delete it."""
    source: str = ""
    recipe: str = ""
    title: str = ""
    """The recipe, for people."""
    size: RecipeSize | DenoiserSize | None = None
    quality: Quality | None = None
    """Of a language model."""
    pictures: PictureQuality | None = None
    """Of a picture model."""
    problem: ErrorInfo | None = None
    """Why it cannot be shown; its manifest's part is empty then."""


class ResultFile(Contract):
    name: str
    size_bytes: int


class ServeCommand(Contract):
    """How a server is started elsewhere, to be copied."""

    server: str
    where: Literal["native", "docker"]
    command: str | None
    """None where the server does not run this format; `reason` says why."""
    reason: Text
    """Why not, or what keeps it from running on this machine, or that nothing does."""
    here: bool
    """Whether nothing keeps it from running on this machine."""


class AgreementAnswer(Contract):
    """One prompt put to two servers."""

    language: str
    prompt: str
    reference: str
    answer: str
    leading_characters: float
    """Share of the longer answer that both begin with; 0 to 1."""
    leading_tokens: float | None
    """The same in tokens, None without a tokenizer."""
    first_difference: int | None
    """Character at which they part; None where they are the same."""


class Agreement(Contract):
    """Greedy answers of a server of the checkpoint beside those of the original's."""

    server: str
    """`model/kind`."""
    reference: str
    simulated: bool
    """The checkpoint's server ran plain copies of its weights."""
    tokens: int
    """Of an answer, at the most."""
    at: float
    leading_characters: float
    """Means over the prompts."""
    leading_tokens: float | None
    same: int
    """Prompts that were answered alike to the end."""
    answers: tuple[AgreementAnswer, ...]


class ResultView(Contract):
    """One checkpoint, whole."""

    entry: ResultEntry
    manifest: CheckpointManifest | None
    files: tuple[ResultFile, ...]
    command: str | None
    """The studio's; None where the manifest does not hold the request."""
    script: str | None
    """ModelOpt's, as Python."""
    evaluation: str
    """The command of lm-eval."""
    agreement: Agreement | None


class PicturesView(Contract):
    """What came of quantising a picture model, whole."""

    entry: ResultEntry
    job: str
    """Whose files the pictures are."""
    manifest: ImageQuantizeManifest | None
    files: tuple[ResultFile, ...]
    command: str | None
    """The studio's; None without a manifest."""


class PushRequest(Contract):
    """A checkpoint to be put on the hub."""

    model: str
    """Its folder."""
    repo: str = Field(max_length=200)
    private: bool = True
    existing: bool = False
    """Whether files may be put into a repository that has some already."""


class PushResult(Contract):
    repo: str
    url: str
    commit: str
    files: int
    size_bytes: int
