"""The model card of a checkpoint: what it was made of, how, and how good it is."""

from pathlib import Path

from huggingface_hub import ModelCard
from yaml import YAMLError

from backend.chat.fetch import is_repository
from backend.contracts import CheckpointManifest, Quality
from backend.language import human_bytes

LICENCE = ("license", "license_name", "license_link")


def licence_in(folder: Path) -> dict[str, str]:
    """What the model card of a folder says of its licence; nothing where it cannot be read."""
    file = folder / "README.md"
    try:
        written = file.read_text(encoding="utf-8", errors="replace")
        return licence_of(ModelCard(written).data.to_dict())
    except (OSError, ValueError, YAMLError):
        return {}


def licence_of(data: dict[str, object]) -> dict[str, str]:
    return {name: str(data[name]) for name in LICENCE if data.get(name)}


def public_manifest(manifest: CheckpointManifest) -> CheckpointManifest:
    """Without folders of this machine."""
    return manifest.model_copy(update={"source": _source(manifest), "request": None})


def _source(manifest: CheckpointManifest) -> str:
    name = manifest.source
    return name if is_repository(name) else Path(name).name


def model_card(manifest: CheckpointManifest, repo: str, licence: dict[str, str]) -> str:
    """README.md, with the hub's metadata before it."""
    head = dict(licence)
    if is_repository(manifest.source):
        head |= {"base_model": manifest.source, "base_model_relation": "quantized"}
    head |= {"pipeline_tag": "text-generation"}
    lines = ["---", *(f"{name}: {value}" for name, value in head.items())]
    lines += ["tags:", "- modelopt", f"- {manifest.algorithm.lower()}", "---"]
    base = _source(manifest)
    size = manifest.size
    lines += [
        f"# {repo.rpartition('/')[2]}",
        "",
        f"{base}, quantised to {manifest.algorithm} with nvidia-modelopt "
        f"{manifest.versions.get('nvidia-modelopt', '')} (recipe `{manifest.recipe}`).",
        "",
        "| | before | after |",
        "|---|---|---|",
        f"| weight files | {human_bytes(size.source_bytes)} | {human_bytes(size.whole_bytes)} "
        f"({size.ratio_whole:.2f}x smaller) |",
        f"| quantised layers | {human_bytes(size.quantised_source_bytes)} | "
        f"{human_bytes(size.quantised_bytes)} ({size.ratio_quantised_layers:.2f}x smaller) |",
        *_quality(manifest.quality),
        "",
        _scope(manifest.quality),
        "",
        f"{_calibrated(manifest)} KV cache: {manifest.kv_cache}. "
        f"{len(manifest.left_out)} layers left as they are.",
        "",
        _licence(licence, base),
    ]
    return "\n".join(lines) + "\n"


def _calibrated(manifest: CheckpointManifest) -> str:
    if not manifest.samples:
        return "Nothing was calibrated."
    return f"Calibrated on {manifest.samples} sequences of {manifest.length} tokens."


def _quality(found: Quality) -> list[str]:
    return [
        f"| perplexity | {found.perplexity_reference:.3f} | {found.perplexity:.3f} |",
        f"| KL divergence, mean (nats) | | {found.kl_mean:.4f} |",
        f"| same likeliest token | | {100 * found.top1_agreement:.1f} % |",
    ]


def _scope(found: Quality) -> str:
    told = f"Scored on {found.tokens} tokens that were not calibrated on. "
    if found.scope == "weights_only":
        return told + "Weights only: rounded activations are not in these figures."
    return told + "Weights, activations and cache as ModelOpt simulates them, no server's kernels."


def _licence(licence: dict[str, str], base: str) -> str:
    if licence:
        return f"The licence is that of {base}."
    return f"The licence of {base} applies; it was not recorded here."
