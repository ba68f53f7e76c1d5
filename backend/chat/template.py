"""What a model's chat template does, found by rendering it as transformers would."""

from functools import lru_cache
from typing import Any

from jinja2 import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from backend.chat.client.thinking import OPEN


@lru_cache(maxsize=64)
def opens_thinking(template: str) -> bool:
    """Whether an answer begins inside `<think>`, because the template wrote that already."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.globals |= {"raise_exception": _refuse, "strftime_now": lambda form: form}
    try:
        prompt = environment.from_string(template).render(
            messages=[{"role": "user", "content": "?"}],
            add_generation_prompt=True,
            bos_token="",
            eos_token="",
        )
    except (TemplateError, TypeError, ValueError, ArithmeticError):
        return False
    return prompt.rstrip().endswith(OPEN)


def _refuse(message: str) -> Any:
    raise TemplateError(message)
