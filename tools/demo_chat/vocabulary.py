"""The tokenizer: byte-level BPE learnt from our own dialogues, numbers digit by digit."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from tools.demo_chat.dialogues import prose, training_dialogues
from tools.demo_chat.heldout import banned
from tools.demo_chat.template import (
    BEGIN,
    CHAT_TEMPLATE,
    END,
    PAD,
    ROLES,
    THINK,
    THOUGHT,
)

SIZE = 4096
CONTEXT = 1024
SAMPLE = 40_000
NEWER_ENTRIES = ("backend", "extra_special_tokens", "is_local", "local_files_only")
SPECIAL = (BEGIN, END, PAD, *ROLES.values())


def sample_texts(count: int) -> Iterator[str]:
    """Questions, reasoning and answers without roles, and prose; always the same ones."""
    rng = Random(20)
    for row in training_dialogues(20, count, banned()):
        yield "\n".join((*(content for _, content in row.messages), row.thought, row.answer))
        if rng.random() < 0.1:
            yield prose(rng)


def learn(count: int = SAMPLE, size: int = SIZE) -> Tokenizer:
    """A tokenizer of `size` entries; any byte can be written."""
    tokenizer = Tokenizer(models.BPE())
    digits = pre_tokenizers.Digits(individual_digits=True)
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, bytes_])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size - 2,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sample_texts(count), trainer)
    # Not special, so that decoding keeps them and a server can tell reasoning from answer.
    tokenizer.add_tokens([AddedToken(mark, normalized=False) for mark in (THINK, THOUGHT)])
    begin = tokenizer.token_to_id(BEGIN)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", pair=f"{BEGIN} $A $B", special_tokens=[(BEGIN, begin)]
    )
    return tokenizer


def save(tokenizer: Tokenizer, folder: Path) -> None:
    """As a folder that AutoTokenizer of any transformers from 4.40 on reads."""
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        model_max_length=CONTEXT,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(folder)
    # Newer releases write entries that older ones stumble over, and keep the template apart.
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config = {key: value for key, value in config.items() if key not in NEWER_ENTRIES}
    config |= {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": CHAT_TEMPLATE}
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer kept in `folder`, learnt first if it is missing."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as made:
            save(learn(), Path(made))
            with suppress(OSError):  # another process was first
                Path(made).replace(folder)
    return PreTrainedTokenizerFast.from_pretrained(folder)


def read(folder: Path) -> Tokenizer:
    """The bare tokenizer of a folder, for speed."""
    return Tokenizer.from_file(str(folder / "tokenizer.json"))
