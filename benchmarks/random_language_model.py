"""A Llama at full size with random weights, as a folder of models.

python -m benchmarks.random_language_model FOLDER [--layers N]

For trying how long quantising takes and how much memory, without the real weights: give the folder
that it prints to `spark-studio quantize --model`. The sizes are those of Llama-3.1-8B (its
`config.json` on the hub); the tokenizer is demo-chat's, whose 4,096 entries are a part of the
vocabulary. Nothing can be said of quality.
"""

import argparse
import shutil
from pathlib import Path

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from backend.settings import ASSETS

TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def write(folder: Path, layers: int) -> Path:
    """Write the model in BF16 to `folder / random-llama`."""
    config = LlamaConfig(
        vocab_size=128_256,
        hidden_size=4096,
        intermediate_size=14_336,
        num_hidden_layers=layers,
        num_attention_heads=32,
        num_key_value_heads=8,
        max_position_embeddings=131_072,
        rms_norm_eps=1e-5,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
        architectures=["LlamaForCausalLM"],
    )
    target = folder / "random-llama"
    torch.manual_seed(1)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        torch.set_default_dtype(torch.bfloat16)
        model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=1, pad_token_id=2)
    model.save_pretrained(target, max_shard_size="5GB")
    for name in TOKENIZER:
        shutil.copy(ASSETS / "models/demo-chat" / name, target / name)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int, default=32)
    options = parser.parse_args()
    print(write(options.folder, options.layers))


if __name__ == "__main__":
    main()
