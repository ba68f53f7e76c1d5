"""The engines on disk, sorted by the variants that they make up."""

from collections.abc import Iterable, Iterator

from backend.contracts import (
    Engine,
    EngineGroup,
    EngineState,
    Model,
    ResidentModel,
    Runtime,
    Variant,
    VariantState,
)
from backend.engines.cache import Host
from backend.engines.host import CPU
from backend.engines.sources import takes_place
from backend.hardware.targets import part_name
from backend.language import Text, text
from backend.models.catalog import variant_key
from backend.models.families import FAMILIES

Place = tuple[str, Runtime, str]
"""Model, runtime, and the GPU that it is for."""


def engine_groups(
    models: Iterable[Model],
    engines: Iterable[Engine],
    host: Host,
    resident: Iterable[ResidentModel],
) -> tuple[EngineGroup, ...]:
    """Every engine in at least one group; those that run here first.

    A variant of which there are only engines that others want too has no group of its own.
    """
    known = {model.id: model for model in models}
    held = {model.key: model for model in resident}
    places: dict[Place, list[Engine]] = {}
    for engine in engines:
        made = engine.manifest
        places.setdefault((made.model, made.runtime, made.target), []).append(engine)
    found: list[EngineGroup] = []
    for place, members in places.items():
        model = known.get(place[0])
        found += _groups_at(place, members, model, host, held)
    return tuple(
        sorted(found, key=lambda group: (group.target not in (CPU, host.target), group.key))
    )


def _groups_at(
    place: Place,
    members: list[Engine],
    model: Model | None,
    host: Host,
    held: dict[str, ResidentModel],
) -> Iterator[EngineGroup]:
    covered: set[str] = set()
    candidates = []
    for variant in model.variants if model else ():
        assert model is not None
        if variant.runtime is place[1]:
            wanted = FAMILIES[model.family].module_precisions(
                variant.precision, on_cpu=variant.runtime is Runtime.ONNXRUNTIME
            )
            own = [e for e in members if takes_place(e.manifest, variant.precision, wanted)]
            missing = tuple(sorted(wanted.keys() - {e.manifest.module for e in own}))
            candidates.append((len(missing), variant, own, missing))
    for _, variant, own, missing in sorted(candidates, key=lambda one: one[0]):
        ids = {engine.manifest.id for engine in own}
        if ids - covered:
            covered |= ids
            yield _group(place, model, variant, own, missing, host, held)
    rest = [engine for engine in members if engine.manifest.id not in covered]
    if rest:
        yield _group(place, model, None, rest, (), host, held)


def _group(
    place: Place,
    model: Model | None,
    variant: Variant | None,
    engines: list[Engine],
    missing: tuple[str, ...],
    host: Host,
    held: dict[str, ResidentModel],
) -> EngineGroup:
    name, runtime, target = place
    state, reason = _standing(variant, engines, missing, target, host)
    here = held.get(variant_key(name, variant.precision, runtime)) if variant else None
    return EngineGroup(
        model=name,
        name=model.name if model else name,
        precision=variant.precision if variant else None,
        runtime=runtime,
        target=target,
        target_name=part_name(target),
        state=state,
        reason=reason,
        loaded=here is not None and target in (CPU, host.target),
        in_use=here is not None and here.in_use,
        engines=tuple(sorted(engines, key=lambda engine: engine.manifest.module)),
        missing=missing,
    )


def _standing(
    variant: Variant | None,
    engines: list[Engine],
    missing: tuple[str, ...],
    target: str,
    host: Host,
) -> tuple[VariantState, Text]:
    if target not in (CPU, host.target):
        return VariantState.OTHER_GPU, text(
            "engines.built_for", part=part_name(target), target=target
        )
    if variant is None:
        return VariantState.IMPOSSIBLE, text("engines.wanted_by_none")
    if variant.state is VariantState.READY or not missing:
        return variant.state, variant.reason
    usable = {e.manifest.module for e in engines if e.state is EngineState.VALID}
    return VariantState.BUILDABLE, text(
        "engines.incomplete", count=len(usable), total=len(usable | set(missing))
    )
