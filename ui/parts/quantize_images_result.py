"""What came of quantising a picture model: sizes, likeness, pairs of pictures, blocks."""

from backend.contracts import (
    ImageQuantizeManifest,
    PhaseCost,
    PicturePair,
    PictureQuality,
    PicturesView,
    ResultEntry,
    Spread,
)
from ui.i18n import t
from ui.parts.compare_with import compare_button, variant_fields
from ui.parts.engine_words import EDITION_NAMES, precision_mark, when
from ui.parts.markup import button, esc
from ui.parts.quantize_result import broken, copied, fact_list, file_table, phase_table, whole
from ui.parts.quantize_result_charts import block_chart, size_bars
from ui.parts.quantize_result_list import delete_button, simulated_mark

NAMES = EDITION_NAMES | {"tensorrt": "TensorRT", "torch": "torch"}


def pictures_view(view: PicturesView, language: str) -> str:
    entry, manifest = view.entry, view.manifest
    if manifest is None:
        return broken(entry, language)
    assert view.command is not None
    command = copied("command", "spark-studio", view.command, language)
    parts = (
        ("sizes", size_bars(manifest.size, language, "denoiser")),
        ("likeness", _quality(manifest, language)),
        ("pictures", _pictures(view.job, manifest, language)),
        ("sensitivity", _sensitivity(manifest, language)),
        ("command", f'<ul class="r-commands"><li>{command}</li></ul>'),
        ("phases", phase_table(_phases(manifest), language)),
        ("versions", _versions(manifest)),
        ("files", file_table(entry, view.files, language)),
    )
    lead = _facts(manifest, language) + _actions(entry, manifest, language)
    return whole(entry, lead, parts, language)


def _facts(manifest: ImageQuantizeManifest, language: str) -> str:
    request = manifest.request
    recipe = [request.recipe.upper(), t("page.result.level", language, level=f"{manifest.level:g}")]
    for name, value in (("α", manifest.smoothquant_alpha), ("p", manifest.percentile)):
        if value is not None:
            recipe.append(f"{name} {value:g}")
    watched = t(
        "page.result.watched",
        language,
        samples=manifest.samples,
        steps=manifest.calibration_steps,
    )
    target = "CPU" if manifest.target == "cpu" else manifest.target
    rows = [
        ("source", _source(manifest)),
        ("recipe", ", ".join(recipe)),
        ("engines", f"{NAMES[request.runtime or 'torch']} · {target}"),
        ("watched", watched),
        ("made", f"{when(manifest.made_at)} · {manifest.device}"),
    ]
    return fact_list(rows, language)


def _source(manifest: ImageQuantizeManifest) -> str:
    """A model of the studio by its name, one of the hub by its repository and commit."""
    if manifest.revision is None:
        return manifest.request.model
    return f"{manifest.source} @ {manifest.revision[:12]}"


def _actions(entry: ResultEntry, manifest: ImageQuantizeManifest, language: str) -> str:
    """Whose engines do not run here is not offered to paint with."""
    request, simulated = manifest.request, manifest.quality.simulated
    off = ' disabled aria-describedby="result-elsewhere"' if simulated else ""
    variant = f"{request.model}/{request.recipe}/{request.runtime}"
    try_ = (
        f'<button type="button" class="s-button c-first" data-action="result-try" '
        f'data-variant="{esc(variant)}"{off}><span>{esc(t("page.result.try", language))}</span>'
        "</button>"
    )
    engines = button(
        t("page.result.engines", language), "result-engines", symbol="build", model=request.model
    )
    pair = (f"{manifest.quality.reference}/torch", f"{request.recipe}/{request.runtime}")
    compare = ""
    if not simulated:
        compare = compare_button(variant_fields(request.model, pair), language)
    why = esc(t("page.result.elsewhere", language))
    note = f'<p class="r-note" id="result-elsewhere">{why}</p>' if simulated else ""
    return (
        f'<div class="s-row r-actions">{try_}{compare}{engines}{delete_button(entry, language)}'
        f"</div>{note}"
        f'<p class="r-note">{esc(t("page.result.engines_stay", language))}</p>'
    )


def _quality(manifest: ImageQuantizeManifest, language: str) -> str:
    quality = manifest.quality
    heads = "".join(
        f'<th scope="col">{esc(t(f"page.result.column.{name}", language))}</th>'
        for name in ("median", "worst", "best")
    )
    rows = ""
    if quality.psnr_spread is not None:
        rows = _spread("psnr", quality.psnr_spread, "{:.1f}", language)
    rows += _spread("ssim", quality.ssim_spread, "{:.4f}", language)
    same = ""
    if quality.identical:
        same = t("page.result.identical_count", language, count=quality.identical)
    return (
        f'<p class="r-note">{esc(_scope(quality, language))} {simulated_mark(quality, language)} '
        f'{esc(same)}</p><table class="r-table"><thead><tr><td></td>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _scope(quality: PictureQuality, language: str) -> str:
    return t(
        "page.result.likeness_about",
        language,
        pictures=quality.pictures,
        reference=quality.reference.upper(),
        runtime=NAMES[quality.runtime],
    )


def _spread(name: str, spread: Spread, shown: str, language: str) -> str:
    cells = "".join(
        f'<td class="s-num">{shown.format(value)}</td>'
        for value in (spread.median, spread.worst, spread.best)
    )
    label = esc(t(f"page.result.figure.{name}", language))
    return f'<tr><th scope="row">{label}</th>{cells}</tr>'


def _pictures(job: str, manifest: ImageQuantizeManifest, language: str) -> str:
    rows = "".join(_pair(job, pair, manifest, language) for pair in manifest.pictures)
    return f'<ul class="r-pictures">{rows}</ul>'


def _pair(job: str, pair: PicturePair, manifest: ImageQuantizeManifest, language: str) -> str:
    request, quality = manifest.request, manifest.quality
    told = t("page.result.identical", language)
    if pair.psnr_db is not None:
        told = f"PSNR {pair.psnr_db:.1f} dB · SSIM {pair.ssim:.4f}"
    seed = t("page.result.seed", language, seed=pair.seed)
    sides = (
        (pair.reference, quality.reference, "torch", ""),
        (pair.quantised, request.recipe, NAMES[quality.runtime], simulated_mark(quality, language)),
    )
    figures = "".join(
        f'<figure><a href="/files/{esc(job)}/{esc(name)}" target="_blank" rel="noopener">'
        f'<img src="/files/{esc(job)}/{esc(name)}" loading="lazy" decoding="async" '
        f'width="{request.width}" height="{request.height}" '
        f'alt="{esc(precision.upper())}: {esc(pair.prompt)}"></a><figcaption>'
        f"{precision_mark(precision)} <span>{esc(by)}</span> {mark}</figcaption></figure>"
        for name, precision, by, mark in sides
    )
    return (
        f'<li><header><span dir="auto">{esc(pair.prompt)}</span>'
        f'<small class="s-num">{esc(seed)} · {esc(told)}</small></header>'
        f'<div class="r-two">{figures}</div></li>'
    )


def _sensitivity(manifest: ImageQuantizeManifest, language: str) -> str:
    found = manifest.sensitivity
    about = t(
        "page.result.whole_error", language, error=f"{100 * found.whole:.2f} %", calls=found.calls
    )
    return f'{block_chart(found, language)}<p class="r-note">{esc(about)}</p>'


def _phases(manifest: ImageQuantizeManifest) -> dict[str, PhaseCost]:
    return {
        name: PhaseCost(seconds=seconds, peak_memory_bytes=manifest.peak_memory_bytes.get(name, 0))
        for name, seconds in manifest.seconds.items()
    }


def _versions(manifest: ImageQuantizeManifest) -> str:
    rows = "".join(
        f'<tr><th scope="row">{esc(name)}</th><td class="s-num">{esc(version)}</td></tr>'
        for name, version in manifest.versions.items()
    )
    return f'<table class="r-table">{rows}</table>'
