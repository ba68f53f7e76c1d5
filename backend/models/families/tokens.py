"""Count a prompt's tokens without transformers."""

from functools import lru_cache
from pathlib import Path

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE

CLIP_PIECES = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"
)
BOS, EOS = "<|startoftext|>", "<|endoftext|>"


def count_tokens(folder: Path, prompt: str) -> int:
    """Tokens of `prompt` by the tokenizer in `folder`, markers of begin and end included.

    Raises OSError, ValueError and what `tokenizers` raises for files that are not a tokenizer's.
    """
    return len(_tokenizer(folder).encode(prompt).ids)


def token_ids(folder: Path, text: str) -> list[int]:
    """Of a text alone, without markers. Raises as `count_tokens` does."""
    ids: list[int] = _tokenizer(folder).encode(text, add_special_tokens=False).ids
    return ids


@lru_cache(maxsize=8)
def _tokenizer(folder: Path) -> Tokenizer:
    whole = folder / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(whole)) if whole.exists() else _clip(folder)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _clip(folder: Path) -> Tokenizer:
    """CLIP's byte-level BPE from `vocab.json` and `merges.txt`, which older repositories ship."""
    vocabulary, merges = BPE.read_file(str(folder / "vocab.json"), str(folder / "merges.txt"))
    bpe = BPE(vocabulary, merges, end_of_word_suffix="</w>", unk_token=EOS)
    tokenizer = Tokenizer(bpe)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CLIP_PIECES), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.post_processor = processors.RobertaProcessing(
        sep=(EOS, vocabulary[EOS]), cls=(BOS, vocabulary[BOS]), add_prefix_space=False
    )
    return tokenizer
