"""One quantised checkpoint, whole: sizes, quality, layers, answers; what can be done with it."""

from collections.abc import Mapping
from urllib.parse import urlencode

from backend.contracts import (
    CheckpointManifest,
    PhaseCost,
    Quality,
    ResultEntry,
    ResultFile,
    ResultView,
    ServeCommand,
)
from backend.language import human_bytes, human_seconds
from ui.i18n import t
from ui.parts.compare_with import compare_button, text_fields
from ui.parts.engine_words import when
from ui.parts.error_card import error_card
from ui.parts.markup import button, details, esc
from ui.parts.quantize_result_answers import agreement, samples
from ui.parts.quantize_result_charts import layer_charts, size_bars
from ui.parts.quantize_result_list import delete_button, scope_mark

FIGURES = (
    ("kl_mean", "{:.4f}"),
    ("kl_p99", "{:.4f}"),
    ("kl_max", "{:.4f}"),
)


def result_view(view: ResultView, serve: tuple[ServeCommand, ...], language: str) -> str:
    entry, manifest = view.entry, view.manifest
    if manifest is None:
        return broken(entry, language)
    parts = (
        ("sizes", size_bars(manifest.size, language)),
        ("quality", _quality(manifest.quality, language)),
        ("samples", samples(manifest.answers, language)),
        ("layers", layer_charts(manifest, language)),
        ("agreement", agreement(view.agreement, entry.key, language)),
        ("serve", _serve(view, serve, language)),
        ("command", _commands(view, language)),
        ("phases", phase_table(manifest.phases, language)),
        ("files", file_table(view.entry, view.files, language)),
    )
    lead = _facts(manifest, language) + _actions(view, language)
    return whole(entry, lead, parts, language)


def whole(entry: ResultEntry, lead: str, parts: tuple[tuple[str, str], ...], language: str) -> str:
    """A result with its head: `lead`, then each part under its heading."""
    sections = "".join(
        f'<section class="r-part" data-part="{name}">'
        f"<h3>{esc(t(f'page.result.{name}', language))}</h3>{body}</section>"
        for name, body in parts
    )
    back = button(t("page.result.back", language), "result-back", symbol="back", kind="quiet")
    return (
        f'<article class="r-one" data-key="{esc(entry.key)}">'
        f'<header class="r-head">{back}<h2 dir="auto">{esc(entry.name)}</h2>'
        f'<div class="r-path"><code dir="auto">{esc(entry.path)}</code>'
        f"{button(t('page.result.copy', language), 'copy', symbol='copy', compact=True)}</div>"
        f"</header>{lead}{sections}</article>"
    )


def broken(entry: ResultEntry, language: str) -> str:
    """One whose manifest cannot be read."""
    assert entry.problem is not None
    card = error_card(entry.problem, language, actions=delete_button(entry, language))
    return whole(entry, card, (), language)


def _facts(manifest: CheckpointManifest, language: str) -> str:
    rows = [
        ("source", manifest.source + (f" @ {manifest.revision[:12]}" if manifest.revision else "")),
        ("recipe", f"{manifest.recipe} ({manifest.algorithm})"),
        ("cache", manifest.kv_cache),
        (
            "calibrated",
            t(
                "page.result.calibrated_on",
                language,
                name=_text_name(manifest.calibration, language),
                samples=manifest.samples,
                length=manifest.length,
            )
            if manifest.samples
            else t("page.result.uncalibrated", language),
        ),
        ("made", f"{when(manifest.made_at)} · {manifest.device}"),
    ]
    if manifest.effective_bits is not None:
        rows.append(("bits", f"{manifest.effective_bits:g}"))
    return fact_list(rows, language)


def fact_list(rows: list[tuple[str, str]], language: str) -> str:
    """With the labels `page.result.fact.<name>`."""
    cells = "".join(
        f"<div><dt>{esc(t(f'page.result.fact.{name}', language))}</dt>"
        f'<dd dir="auto">{esc(value)}</dd></div>'
        for name, value in rows
    )
    return f'<dl class="r-facts">{cells}</dl>'


def _text_name(name: str, language: str) -> str:
    return t("page.result.own_text", language) if len(name) == 64 else name


def _actions(view: ResultView, language: str) -> str:
    entry = view.entry
    own = entry.key.startswith("checkpoint:")
    chat = button(
        t("page.result.chat", language),
        "result-chat",
        symbol="chat",
        kind="c-first",
        model=entry.name if own else entry.path,
    )
    jump = button(t("page.result.go_serve", language), "result-go", symbol="server", part="serve")
    compare = compare_button(text_fields(entry.source, entry.name if own else entry.path), language)
    push = _push(view, language) if entry.mine else ""
    return (
        f'<div class="s-row r-actions">{chat}{jump}{compare}{delete_button(entry, language)}</div>'
        f"{push}"
    )


def _push(view: ResultView, language: str) -> str:
    """Folded: the name that is asked for, and two boxes."""

    def box(name: str, checked: str = "") -> str:
        return (
            f'<label class="e-check"><input type="checkbox" name="{name}"{checked}>'
            f"<span>{esc(t(f'page.result.push_{name}', language))}</span></label>"
        )

    words = esc(t("page.result.push_repo", language))
    go = esc(t("page.result.push_go", language))
    form = (
        f'<form class="r-push" data-key="{esc(view.entry.key)}" novalidate>'
        f'<label class="e-field"><span>{words}</span><input class="s-field" name="repo" '
        f'id="push-repo" autocomplete="off" spellcheck="false" placeholder="owner/name"></label>'
        f"{box('private', ' checked')}{box('existing')}"
        f'<p class="r-note">{esc(t("page.result.push_about", language))}</p>'
        f'<button type="submit" class="s-button c-first"><span>{go}</span></button></form>'
        f'<div id="result-push"></div>'
    )
    return details("push", t("page.result.push", language), form)


def _quality(quality: Quality, language: str) -> str:
    def row(name: str, before: str, after: str) -> str:
        label = esc(t(f"page.result.figure.{name}", language))
        return (
            f'<tr><th scope="row">{label}</th><td class="s-num">{esc(before)}</td>'
            f'<td class="s-num">{esc(after)}</td></tr>'
        )

    heads = "".join(
        f'<th scope="col">{esc(t(f"page.result.{name}", language))}</th>'
        for name in ("before", "after")
    )
    rows = row("perplexity", f"{quality.perplexity_reference:.4f}", f"{quality.perplexity:.4f}")
    rows += "".join(row(name, "", form.format(getattr(quality, name))) for name, form in FIGURES)
    rows += row("top1", "", f"{100 * quality.top1_agreement:.1f} %")
    about = t(
        f"page.result.scope.{quality.scope}",
        language,
        tokens=quality.tokens,
        seconds_s=quality.seconds,
    )
    return (
        f'<p class="r-note">{esc(about)} {scope_mark(quality.scope, language)}</p>'
        f'<table class="r-table"><thead><tr><td></td>{heads}</tr></thead><tbody>{rows}</tbody>'
        f"</table>"
    )


def _serve(view: ResultView, commands: tuple[ServeCommand, ...], language: str) -> str:
    rows = ""
    for each in commands:
        title = f"{each.server} · {t(f'page.result.where.{each.where}', language)}"
        reason = esc(each.reason.render(language))
        if each.command is None:
            refused = esc(t("page.result.refused", language))
            rows += (
                f'<li class="r-refused"><b>{esc(title)}</b><em>{refused}</em><p>{reason}</p></li>'
            )
            continue
        here = "" if each.here else f'<p class="r-note">{reason}</p>'
        rows += f"<li>{copied(f'serve-{title}', title, each.command, language, here)}</li>"
    about = esc(t("page.result.serve_about", language))
    evaluate = copied(
        "lm-eval", t("page.result.evaluate", language), view.evaluation, language,
        f'<p class="r-note">{esc(t("page.result.evaluate_about", language))}</p>',
    )  # fmt: skip
    return f'<p class="r-note">{about}</p><ul class="r-commands">{rows}<li>{evaluate}</li></ul>'


def _commands(view: ResultView, language: str) -> str:
    if view.command is None or view.script is None:
        return f'<p class="r-note">{esc(t("page.result.no_request", language))}</p>'
    return (
        f'<ul class="r-commands"><li>'
        f"{copied('command', 'spark-studio', view.command, language)}</li><li>"
        f"{copied('script', t('page.result.script', language), view.script, language)}</li></ul>"
    )


def copied(key: str, title: str, words: str, language: str, about: str = "") -> str:
    """Something to copy, folded."""
    copy = button(t("page.result.copy", language), "copy", symbol="copy")
    return details(
        key,
        title,
        f'{about}<div class="e-command"><pre class="s-details">{esc(words)}</pre>{copy}</div>',
    )


def phase_table(phases: Mapping[str, PhaseCost], language: str) -> str:
    """A peak of 0 bytes is one that is not known."""
    rows = "".join(
        f'<tr><th scope="row">{esc(t(f"phase.{name}", language))}</th>'
        f'<td class="s-num">{esc(human_seconds(cost.seconds))}</td>'
        f'<td class="s-num">{esc(_bytes(cost.peak_memory_bytes))}</td></tr>'
        for name, cost in phases.items()
    )
    heads = "".join(
        f'<th scope="col">{esc(t(f"page.result.column.{name}", language))}</th>'
        for name in ("seconds", "memory")
    )
    return f'<table class="r-table"><thead><tr><td></td>{heads}</tr></thead>{rows}</table>'


def _bytes(size: int) -> str:
    return human_bytes(size) if size else ""


def file_table(entry: ResultEntry, files: tuple[ResultFile, ...], language: str) -> str:
    rows = ""
    for file in files:
        name = esc(file.name)
        if entry.mine:
            asked = urlencode({"key": entry.key, "name": file.name})
            name = f'<a href="/studio/results/file?{esc(asked)}" download>{name}</a>'
        size = esc(human_bytes(file.size_bytes))
        rows += f'<tr><th scope="row">{name}</th><td class="s-num">{size}</td></tr>'
    table = f'<table class="r-table">{rows}</table>'
    if entry.mine:
        return table
    return f'<p class="r-note">{esc(t("page.result.not_mine", language))}</p>{table}'
