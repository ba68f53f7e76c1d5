"""Comparisons of answers, and what all comparisons share with their readers."""

from typing import Literal

from backend.contracts.base import Contract
from backend.contracts.chat import Sampling, ServerKind
from backend.contracts.compare import (
    ComparedState,
    ComparedVariant,
    Figures,
    Machine,
    PictureReport,
)
from backend.errors import ErrorInfo


class TextVariant(Contract):
    """One way to serve a language model."""

    model: str
    """Name, folder or repository, as `ServeRequest` takes it."""
    kind: ServerKind
    simulated: bool = False
    """The checkpoint's weights computed back to BF16 and served as plain ones."""


class CompareTextRequest(Contract):
    """The same prompts to two to four servers; the first is the reference."""

    variants: tuple[TextVariant, ...]
    prompts: tuple[str, ...]
    system: str = ""
    sampling: Sampling = Sampling(temperature=0.0, max_tokens=256)
    together: bool = False
    """Ask all servers at once where memory allows; their figures then share the machine. Else one
    after the other."""


class ComparedAnswer(Contract):
    """One server's answer to one prompt, so far while it is written."""

    variant: int
    prompt: int
    state: ComparedState
    text: str = ""
    reasoning: str = ""
    error: ErrorInfo | None = None
    ttft_s: float | None = None
    tokens_per_s: float | None = None
    completion_tokens: int | None = None
    total_s: float | None = None
    finish_reason: str | None = None
    alone: bool = True
    """Whether no other server of the comparison wrote at the same time."""
    same_characters: int | None = None
    """How many first characters of reasoning and text are those of the reference; None while there
    is none to compare with. Equal lengths and this length mean the same answer."""
    same_tokens: int | None = None
    """The same in tokens of the reference's tokenizer; None where it has none."""
    tokens: int | None = None
    """Of reasoning and text by that tokenizer."""


class ComparedServer(Contract):
    """What one side of a comparison of answers took and gave."""

    model: str
    kind: ServerKind
    title: str
    """Of the server, for people."""
    precision: str
    simulated: bool = False
    state: ComparedState
    error: ErrorInfo | None = None
    started_here: bool = False
    """By this comparison, which also stops it."""
    ready_s: float | None = None
    """From start to ready, where it was started here."""
    weights_bytes: int | None = None
    peak_memory_bytes: int | None = None
    ttft_s: Figures | None = None
    tokens_per_s: Figures | None = None
    agreement: float | None = None
    """Mean share of the leading tokens that are the reference's, of greedy answers alone; of the
    characters where there is no tokenizer."""
    same: int | None = None
    """Answers that are the reference's to the last character, of greedy answers alone."""
    perplexity: float | None = None
    """From the checkpoint's manifest, as are the next."""
    source_perplexity: float | None = None
    kl_mean: float | None = None
    weights_only: bool = False
    """Whether the manifest's figures are of its weights alone."""


class TextReport(Contract):
    """`report.json` of a comparison of answers."""

    kind: Literal["text"] = "text"
    format: Literal[1] = 1
    id: str
    title: str
    made_at: float
    request: CompareTextRequest
    reference: int = 0
    together: bool
    """Whether they answered at once."""
    apart_because: ErrorInfo | None = None
    """Why they did not, though asked to."""
    machine: Machine
    variants: tuple[ComparedServer, ...]
    answers: tuple[ComparedAnswer, ...] = ()


Report = PictureReport | TextReport


class CompareResult(Contract):
    """Result of the jobs of both kinds; the report itself is `report.json` in `folder`."""

    folder: str
    rows: tuple[ComparedVariant | ComparedServer, ...]


class ComparisonEntry(Contract):
    """A comparison in the list of past ones."""

    id: str
    kind: Literal["pictures", "text"]
    title: str
    """The first prompt, or what its owner named it."""
    subject: str
    """The model."""
    variants: tuple[str, ...]
    """`fp8/tensorrt`, or model and server."""
    made_at: float
    state: str
    """The job's."""
    prompts: int
    pictures: int = 0
    size_bytes: int = 0
    device: str = ""
    problem: ErrorInfo | None = None
    """Why its report cannot be read."""
