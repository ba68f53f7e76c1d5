"""The two tokenizers, made from the words of our own captions."""

from __future__ import annotations

import io
import json
import math
import re
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPTokenizer, T5Tokenizer

from tools.demo_models.models import CLIP_TOKENS, T5_TOKENS

BOS, EOS = "<|startoftext|>", "<|endoftext|>"
SPACE = "▁"
WORD = re.compile(r"[^\W\d_]+|\d|[^\w\s]")


def word_counts(captions: Iterable[str]) -> Counter[str]:
    """Lower-case words, digits and marks with their numbers of uses."""
    counts: Counter[str] = Counter()
    for caption in captions:
        counts.update(WORD.findall(caption.lower()))
    return counts


def clip_tokenizer(counts: Counter[str], size: int) -> CLIPTokenizer:
    """Byte-level BPE of at most `size` entries: any text tokenises, common words to one token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trained = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(alphabet) - 2,
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    repeated = (word for word, n in counts.items() for _ in range(1 + round(math.sqrt(n))))
    trained.train_from_iterator(repeated, trainer)
    merges = [tuple(pair) for pair in json.loads(trained.to_str())["model"]["merges"]]
    pieces = [BOS, EOS, *alphabet, *(symbol + "</w>" for symbol in alphabet)]
    pieces = list(dict.fromkeys(pieces + [left + right for left, right in merges]))
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=CLIP_TOKENS)


def lower_case_map() -> bytes:
    """SentencePiece's compiled form of A-Z to a-z, the only normaliser T5Tokenizer keeps on disk."""
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder, "rules.tsv")
        rules.write_text("".join(f"{code:X}\t{code + 32:X}\n" for code in range(65, 91)))
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["a b c"]),
            model_writer=model,
            vocab_size=8,
            hard_vocab_limit=False,
            normalization_rule_tsv=str(rules),
            minloglevel=2,
        )
    proto = sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())
    return proto.normalizer_spec.precompiled_charsmap


def t5_tokenizer(counts: Counter[str], size: int) -> T5Tokenizer:
    """Unigram pieces of at most `size` entries: whole words first, single characters behind them."""
    characters = sorted({chr(code) for code in range(33, 127)} | set("".join(counts)))
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), (SPACE, -12.0)]
    pieces += [(character, -14.0) for character in characters]
    total = sum(counts.values())
    words = [(word, math.log(n / total)) for word, n in counts.most_common() if word.isalpha()]
    pieces += [(SPACE + word, score) for word, score in words[: size - len(pieces)]]
    return T5Tokenizer(
        vocab=pieces,
        extra_ids=0,
        model_max_length=T5_TOKENS,
        _spm_precompiled_charsmap=lower_case_map(),
    )
