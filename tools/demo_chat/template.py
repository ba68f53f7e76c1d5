"""How a conversation is written as one text: the chat template, and the same in Python."""

from __future__ import annotations

from collections.abc import Sequence

BEGIN, END, PAD = "<|begin|>", "<|end|>", "<|pad|>"
ROLES = {"system": "<|system|>", "user": "<|user|>", "assistant": "<|assistant|>"}
THINK, THOUGHT = "<think>", "</think>"
OPENING = f"{ROLES['assistant']}{THINK}\n"
"""Ends a prompt, as in DeepSeek-R1-Distill: the reply begins within the reasoning."""

CHAT_TEMPLATE = """\
{{- bos_token -}}
{%- for message in messages -%}
{%- if message['content'] is string -%}
{%- set content = message['content'] -%}
{%- else -%}
{%- set content = message['content'] | selectattr('type', 'equalto', 'text') | map(attribute='text') | join -%}
{%- endif -%}
{%- if message['role'] == 'assistant' -%}
{{- '<|assistant|>' + (content.split('</think>')[-1] | trim) + eos_token -}}
{%- elif message['role'] in ['system', 'user'] -%}
{{- '<|' + message['role'] + '|>' + (content | trim) -}}
{%- else -%}
{{- raise_exception('Roles are system, user and assistant') -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|assistant|><think>\\n' -}}
{%- endif -%}
"""


def prompt(messages: Sequence[tuple[str, str]]) -> str:
    """Messages as (role, content) up to a user's, to the text that the model goes on with."""
    parts = [
        ROLES[role] + content.strip() + (END if role == "assistant" else "")
        for role, content in messages
    ]
    return BEGIN + "".join(parts) + OPENING


def reply(thought: str, answer: str) -> str:
    """What the model is to write after a prompt."""
    return f"{thought}\n{THOUGHT}\n\n{answer}{END}"


def answer_of(text: str) -> str:
    """The answer in what a model wrote, its reasoning left out."""
    return text.rpartition(THOUGHT)[2].replace(END, "").strip()
