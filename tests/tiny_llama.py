"""A language model small enough to be made in a test: random weights, one token a character.

Written without torch, which would take longer than all that is done with it.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

WORDS = ["<pad>", "<s>", "</s>", "<unk>", *(chr(code) for code in range(32, 127)), "\n"]
TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "dtype": "float32",
    "vocab_size": len(WORDS),
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "tie_word_embeddings": False,
}


def make_tiny_llama(folder: Path, template: str | None = TEMPLATE, **config: Any) -> Path:
    """A LlamaForCausalLM of some 20,000 parameters with its tokenizer. It never ends an answer by
    itself: the end's row of the last layer is so that it always loses."""
    folder.mkdir(parents=True, exist_ok=True)
    values = CONFIG | config
    (folder / "config.json").write_text(json.dumps(values))
    _make_tokenizer(folder, template)
    save_file(_weights(values), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _make_tokenizer(folder: Path, template: str | None) -> None:
    words = {word: index for index, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(WORDS[:4])
    tokenizer.save(str(folder / "tokenizer.json"))
    told = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": "<pad>",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)


def _weights(config: dict[str, Any]) -> dict[str, np.ndarray]:
    words, width, inner = (
        config[name] for name in ("vocab_size", "hidden_size", "intermediate_size")
    )
    kv = width // config["num_attention_heads"] * config["num_key_value_heads"]
    shapes = {"model.embed_tokens": (words, width), "lm_head": (words, width)}
    for index in range(config["num_hidden_layers"]):
        layer = f"model.layers.{index}"
        shapes |= {
            f"{layer}.self_attn.q_proj": (width, width),
            f"{layer}.self_attn.k_proj": (kv, width),
            f"{layer}.self_attn.v_proj": (kv, width),
            f"{layer}.self_attn.o_proj": (width, width),
            f"{layer}.mlp.gate_proj": (inner, width),
            f"{layer}.mlp.up_proj": (inner, width),
            f"{layer}.mlp.down_proj": (width, inner),
        }
    random = np.random.default_rng(0)
    weights = {
        f"{name}.weight": (random.standard_normal(shape) * 0.2).astype(np.float32)
        for name, shape in shapes.items()
    }
    weights["lm_head.weight"][:4] = 0.0
    norms = [
        f"model.layers.{index}.{name}"
        for index in range(config["num_hidden_layers"])
        for name in ("input_layernorm", "post_attention_layernorm")
    ]
    ones = np.ones(width, dtype=np.float32)
    return weights | {f"{name}.weight": ones.copy() for name in (*norms, "model.norm")}
