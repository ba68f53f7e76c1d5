"""How a language model could be served here, before it is."""

from backend.contracts.base import Contract
from backend.contracts.chat import LanguageModel, ServerKind
from backend.language import Text


class ServeOption(Contract):
    """One way to serve a model on this machine."""

    kind: ServerKind
    title: str
    possible: bool
    reason: Text
    """Why not, or that it can."""
    simulated: bool = False
    """The checkpoint's weights as plain BF16: offered where its own format does not run."""
    context_tokens: int | None = None
    parallel: int | None = None
    weights_bytes: int = 0
    """This and the next are nothing for a model that is still to be fetched."""
    cache_bytes: int = 0
    total_bytes: int = 0
    """What would be set aside, all in all."""
    guessed: bool = False
    """What its libraries take was never measured where it would run."""


class ServeOptions(Contract):
    """What can be chosen for one model."""

    model: LanguageModel | None
    """None for a repository that is still to be fetched."""
    options: tuple[ServeOption, ...]
    budget_bytes: int
    """What models and servers of a worker may hold; 0 while there is no worker."""
    free_bytes: int
    """Of it, what no server and no running job holds."""
