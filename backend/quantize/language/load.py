"""A language model in memory, and text as its tokens."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from backend.errors import Code, StudioError
from backend.jobs.failures import says_out_of_memory
from backend.language import text
from backend.quantize.language.sizes import half_of, read_headers
from backend.quantize.language.texts import Row, unreadable


def pick_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_model(folder: Path, device: torch.device) -> Any:
    """In the precision that everything that is not quantised will be stored in."""
    from transformers import AutoModelForCausalLM

    half = half_of(read_headers(folder, folder.name))
    dtype = {"F16": torch.float16, "BF16": torch.bfloat16}[half]
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, use_safetensors=True, device_map=str(device)
    )
    return model.eval()


def load_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def sequences(
    tokenizer: Any, rows: Sequence[Row], length: int, count: int, purpose: str, name: str
) -> torch.Tensor:
    """At most `count` sequences (n, length) of token ids: the rows one after the other, with the
    end token between, cut into pieces of one length, so that nothing is padding.

    Raises StudioError CALIBRATION_TEXT_SHORT when there is not one, CALIBRATION_TEXT_UNREADABLE
    for conversations without a chat template.
    """
    tokens: list[int] = []
    for row in rows:
        tokens += _tokens(tokenizer, row, name)
        if tokenizer.eos_token_id is not None:
            tokens.append(tokenizer.eos_token_id)
        if len(tokens) >= length * count:
            break
    found = min(len(tokens) // length, count)
    if not found:
        why = text(f"quantize.to_{purpose}")
        raise StudioError(
            Code.CALIBRATION_TEXT_SHORT, tokens=len(tokens), needed=length, purpose=why
        )
    return torch.tensor(tokens[: found * length]).view(found, length)


def _tokens(tokenizer: Any, row: Row, name: str) -> list[int]:
    words = row.text
    if row.messages:
        if not tokenizer.chat_template:
            raise unreadable(name, text("quantize.problem.template"))
        words = tokenizer.apply_chat_template(row.data["messages"], tokenize=False)
    found: list[int] = tokenizer(words, add_special_tokens=not row.messages)["input_ids"]
    return found


def in_batches(
    run: Callable[[torch.Tensor], None],
    found: torch.Tensor,
    batch: int,
    device: torch.device,
    on_done: Callable[[int], None],
    on_halved: Callable[[int], None],
) -> int:
    """Call `run` with batches (n, length) on `device`, halving them while memory runs out; the
    batch that worked. `on_done` is told how many sequences are done.

    A batch that failed may have been counted in part by what watches the layers.
    """
    at = 0
    while at < len(found):
        try:
            run(found[at : at + batch].to(device))
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            exhausted = isinstance(error, (torch.OutOfMemoryError, MemoryError))
            if batch == 1 or not (exhausted or says_out_of_memory(str(error))):
                raise
            batch = batch // 2
            on_halved(batch)
            continue
        at = min(at + batch, len(found))
        on_done(at)
    return batch
