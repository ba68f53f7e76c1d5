"""The model's sizes, and how it decodes by default."""

from __future__ import annotations

from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tools.demo_chat.vocabulary import CONTEXT, SIZE

MAX_NEW_TOKENS = 320


def configuration(
    tokenizer: PreTrainedTokenizerFast, layers: int = 8, width: int = 256
) -> LlamaConfig:
    """Widths are multiples of 64, so that blocks of 16 (NVFP4) and 32 (MXFP8) fit everywhere."""
    return LlamaConfig(
        vocab_size=SIZE,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        num_key_value_heads=max(1, width // 128),
        head_dim=64,
        max_position_embeddings=CONTEXT,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def new_model(
    tokenizer: PreTrainedTokenizerFast, layers: int = 8, width: int = 256
) -> LlamaForCausalLM:
    """Random weights; the default sizes have 5.8 million parameters."""
    model = LlamaForCausalLM(configuration(tokenizer, layers, width))
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        do_sample=True,
        temperature=0.3,
        top_p=0.9,
        max_new_tokens=MAX_NEW_TOKENS,
    )
    return model
