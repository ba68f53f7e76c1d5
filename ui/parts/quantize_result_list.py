"""Quantised checkpoints as a list: what each was made of, its size and its quality."""

from backend.contracts import PictureQuality, Quality, ResultEntry
from backend.language import human_bytes
from ui.i18n import t
from ui.parts.engine_words import when
from ui.parts.error_card import error_card
from ui.parts.markup import button, esc, icon


def result_list(entries: tuple[ResultEntry, ...], language: str) -> str:
    """The newest first; one that cannot be read says why."""
    if not entries:
        return (
            f'<div class="e-empty">{icon("list")}<p>{esc(t("page.result.none", language))}</p>'
            f"<p>{esc(t('page.result.none_hint', language))}</p></div>"
        )
    rows = "".join(_row(entry, language) for entry in entries)
    return f'<ul class="r-list">{rows}</ul>'


def _row(entry: ResultEntry, language: str) -> str:
    if entry.problem is not None:
        card = error_card(
            entry.problem,
            language,
            title=entry.name,
            key=f"error-{entry.key}",
            actions=delete_button(entry, language),
        )
        return f'<li data-key="{esc(entry.key)}" data-state="broken">{card}</li>'
    assert entry.size is not None
    size = entry.size
    if entry.pictures is not None:
        quality = picture_quality(entry.pictures, language)
    else:
        assert entry.quality is not None
        quality = _quality(entry.quality, language)
    share = 100 * size.whole_bytes / max(size.source_bytes, 1)
    return (
        f'<li data-key="{esc(entry.key)}"><button type="button" class="r-row" '
        f'data-action="result-show" data-key="{esc(entry.key)}">'
        f'<span class="r-name"><strong dir="auto">{esc(entry.name)}</strong>'
        f'<small dir="auto">{esc(entry.source)} · {esc(when(entry.made_at))}</small></span>'
        f'<b class="r-recipe">{esc(entry.title)}</b>'
        f'<span class="r-size s-num"><span>{esc(human_bytes(size.source_bytes))} → '
        f"{esc(human_bytes(size.whole_bytes))}</span>"
        f'<i class="r-meter"><b style="width:{share:.1f}%"></b></i></span>'
        f'<span class="r-quality">{quality}</span>'
        f"{icon('next')}</button></li>"
    )


def _quality(quality: Quality, language: str) -> str:
    words = t(
        "page.result.short",
        language,
        before=f"{quality.perplexity_reference:.3f}",
        after=f"{quality.perplexity:.3f}",
        same=f"{100 * quality.top1_agreement:.1f}",
    )
    return f'<span class="s-num">{esc(words)}</span>{scope_mark(quality.scope, language)}'


def picture_quality(quality: PictureQuality, language: str) -> str:
    words = esc(likeness(quality, language))
    return f'<span class="s-num">{words}</span>{simulated_mark(quality, language)}'


def likeness(quality: PictureQuality, language: str) -> str:
    """Medians over the pictures."""
    if quality.identical == quality.pictures:
        return t("page.result.identical", language)
    if quality.psnr_db is None:
        same = t("page.result.identical_share", language, count=quality.identical,
                 pictures=quality.pictures)  # fmt: skip
        return f"{same}, SSIM {quality.ssim:.3f}"
    return f"PSNR {quality.psnr_db:.1f} dB, SSIM {quality.ssim:.3f}"


def simulated_mark(quality: PictureQuality, language: str) -> str:
    if not quality.simulated:
        return ""
    title = esc(t("page.result.simulated_hint", language))
    return f'<em class="r-scope" title="{title}">{esc(t("page.result.simulated", language))}</em>'


def scope_mark(scope: str, language: str) -> str:
    """What was scored, where that is not all."""
    if scope != "weights_only":
        return ""
    title = esc(t("page.result.weights_only_hint", language))
    return (
        f'<em class="r-scope" title="{title}">{esc(t("page.result.weights_only", language))}</em>'
    )


def delete_button(entry: ResultEntry, language: str) -> str:
    """For those who may."""
    if not entry.mine:
        return ""
    return button(
        t("page.result.delete", language, size_bytes=entry.size_bytes),
        "result-delete",
        symbol="trash",
        kind="quiet",
        key=entry.key,
        confirm=t("page.result.delete_sure", language, size_bytes=entry.size_bytes),
    )
