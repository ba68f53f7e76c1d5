"""Conversations as they are kept, and answers as they are written."""

from typing import Literal

from backend.contracts.base import Contract
from backend.contracts.chat import AnswerMetrics, Sampling, ServerKind
from backend.errors import ErrorInfo, Name
from backend.language import Text


class AnswerState(Name):
    WRITING = "writing"
    DONE = "done"
    STOPPED = "stopped"
    """By its reader; what came is kept."""
    FAILED = "failed"
    """With the reason; what came is kept."""
    INTERRUPTED = "interrupted"
    """The studio ended while it was written; what was kept until then is there."""


class ConversationSettings(Contract):
    """Who answers, and how it is asked."""

    server: str = ""
    """The key of a running server, or `outside`; empty while none is chosen."""
    system: str = ""
    sampling: Sampling = Sampling()
    completion: bool = False
    """Text goes on without roles or a template, as base models do."""


class Author(Contract):
    """What wrote an answer, as it was then."""

    model: str
    precision: str
    server: str
    kind: ServerKind
    simulated: bool = False
    context_tokens: int | None = None


class Turn(Contract):
    """One message of a conversation. Messages form a tree: an edited question and an answer written
    again are siblings of the former one, which stays."""

    id: str
    parent: str | None
    role: Literal["user", "assistant"]
    content: str
    reasoning: str = ""
    images: tuple[str, ...] = ()
    """As `data:image/...;base64,` URLs."""
    created_at: float
    versions: tuple[str, ...] = ()
    """Ids of all siblings of its role, itself among them, oldest first."""
    state: AnswerState | None = None
    """Of an answer, as are the rest."""
    author: Author | None = None
    metrics: AnswerMetrics | None = None
    peak_memory_bytes: int | None = None
    """The server's, while this answer was written; None where it cannot be seen."""
    error: ErrorInfo | None = None


class ConversationSummary(Contract):
    id: str
    title: str
    """What its reader named it, else the beginning of the first question."""
    created_at: float
    changed_at: float
    beside: str | None = None
    """The conversation that is asked the same, side by side with this one."""


class Conversation(ConversationSummary):
    settings: ConversationSettings
    turns: tuple[Turn, ...]
    """From the first question to the last message, along the versions that are shown."""


class ConversationPage(Contract):
    conversations: tuple[ConversationSummary, ...]
    """Newest change first; of two side by side only the first."""
    total: int


class AnswerNews(Contract):
    """An answer at one moment of its being written: whole, so a reader may miss any of them."""

    turn: Turn
    elapsed_s: float
    """Since the request was sent."""
    tokens: int
    """Messages with text so far, about one a token."""
    tokens_per_s: float | None = None
    """So far."""
    ttft_s: float | None = None
    reasoning_s: float | None = None
    """From the first reasoning to the first text; None while there is only one of them."""
    waiting: Text | None = None
    """What it waits for before it can be asked: its server's start, or the answer beside it where
    memory does not allow both servers."""
