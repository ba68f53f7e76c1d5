"""What a denoiser was called with while it made a picture, kept to run it on again."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

CALLS = 3
"""Steps of a picture whose inputs are kept: the first, the middle and the last one."""

Call = dict[str, Any]
"""Arguments by name: tensors, or tensors by name."""


def inputs_file(index: int) -> str:
    return f"inputs-{index}.safetensors"


def kept_steps(steps: int) -> tuple[int, ...]:
    """Evenly from the first step to the last one."""
    last, kept = steps - 1, min(CALLS, steps)
    return tuple(round(index * last / max(kept - 1, 1)) for index in range(kept))


class Recorder:
    """Listens to a denoiser that is called once a step."""

    def __init__(self, denoiser: nn.Module) -> None:
        self._denoiser = denoiser
        self._names = inspect.signature(denoiser.forward)
        self._calls: list[Call] = []

    @contextmanager
    def recording(self, wanted: bool, steps: int) -> Iterator[None]:
        """Keep what the denoiser is called with while the block runs, if it is `wanted`."""
        if not wanted:
            yield
            return
        kept, seen = set(kept_steps(steps)), 0
        self._calls = []

        def listen(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            nonlocal seen
            if seen in kept:
                self._calls.append(self._names.bind(*args, **kwargs).arguments)
            seen += 1

        handle = self._denoiser.register_forward_pre_hook(listen, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()

    def save(self, file: Path) -> None:
        """Write the calls: `<call>.<argument>` or `<call>.<argument>.<name>`; what is no tensor is
        left out."""
        tensors: dict[str, torch.Tensor] = {}
        for index, call in enumerate(self._calls):
            for name, value in call.items():
                inner = value if isinstance(value, dict) else {"": value}
                for key, one in inner.items():
                    if isinstance(one, torch.Tensor):
                        place = f"{index}.{name}.{key}".rstrip(".")
                        tensors[place] = one.detach().cpu().clone().contiguous()
        unfinished = file.with_suffix(".part")
        save_file(tensors, unfinished)
        unfinished.replace(file)


def load_calls(file: Path, device: torch.device) -> list[Call]:
    """The calls that a recorder saved."""
    calls: dict[str, Call] = {}
    for place, tensor in load_file(file, device=str(device)).items():
        index, name, *inner = place.split(".")
        call = calls.setdefault(index, {})
        if inner:
            call.setdefault(name, {})[inner[0]] = tensor
        else:
            call[name] = tensor
    return [calls[index] for index in sorted(calls, key=int)]
