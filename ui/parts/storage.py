"""What is kept on disk, and the clean-up that says what would go."""

from backend.contracts import CleanUp, Storage, StorageGroup, StorageItem
from backend.language import human_bytes
from ui.i18n import t
from ui.parts.engine_words import when
from ui.parts.markup import button, esc, icon

SHOWN = 200


def storage_panel(found: Storage, language: str) -> str:
    """A bar of the disk, a fold for each kind with a box for each thing, and the button."""
    words = t(
        "page.storage.total",
        language,
        size_bytes=found.size_bytes,
        free_bytes=found.disk_free_bytes,
        total_bytes=found.disk_total_bytes,
    )
    foreign = ""
    if found.foreign_hub_bytes > 0:
        text = t("page.storage.foreign", language, size_bytes=found.foreign_hub_bytes)
        foreign = f'<p class="e-note">{esc(text)}</p>'
    if not found.groups:
        empty = esc(t("page.storage.empty", language))
        return f'<div class="e-storage"><p>{empty}</p>{foreign}</div>'
    largest = max(group.size_bytes for group in found.groups) or 1
    groups = "".join(_group(group, largest, language) for group in found.groups)
    clean = button(t("page.storage.clean", language), "storage-ask", symbol="trash")
    return (
        f'<div class="e-storage"><div class="e-summary"><p class="s-num">{esc(words)}</p></div>'
        f'{groups}{foreign}<div class="e-footer"><span id="storage-chosen" class="s-num" '
        f'role="status"></span>{clean}</div></div>'
    )


def _group(group: StorageGroup, largest: int, language: str) -> str:
    name = t(f"storage.kind.{group.kind}", language)
    free = [item for item in group.items if item.kept is None]
    share = 100 * group.size_bytes / largest
    items = "".join(_item(item, language) for item in group.items[:SHOWN])
    if len(group.items) > SHOWN:
        more = t("page.storage.more", language, count=len(group.items) - SHOWN)
        items += f'<li class="s-muted">{esc(more)}</li>'
    disabled = "" if free else " disabled"
    key = "page.storage.count_one" if len(group.items) == 1 else "page.storage.count"
    count = t(key, language, count=len(group.items))
    return (
        f'<div class="e-kept-group" data-key="{esc(group.kind)}"><label class="e-kind-box">'
        f'<input type="checkbox" data-kind="{esc(group.kind)}" id="clean-{esc(group.kind)}" '
        f'aria-label="{esc(name)}"{disabled}></label><details class="s-fold">'
        f"<summary><span>{icon('more')}<strong>{esc(name)}</strong></span>"
        f'<i class="e-meter"><b style="width:{share:.1f}%"></b></i>'
        f'<span class="s-num">{esc(human_bytes(group.size_bytes))}</span>'
        f'<small class="s-num">{esc(count)}</small></summary>'
        f"<ul>{items}</ul></details>"
        f'<p class="e-note">{esc(t(f"storage.about.{group.kind}", language))}</p></div>'
    )


def _item(item: StorageItem, language: str) -> str:
    kept = esc(item.kept.render(language)) if item.kept else esc(when(item.changed_at))
    disabled = " disabled" if item.kept else ""
    return (
        f'<li data-key="{esc(item.key)}"><label><input type="checkbox" name="item" '
        f'value="{esc(item.key)}" data-size="{item.size_bytes}" data-name="{esc(item.name)}" '
        f'data-of="{esc(item.kind)}"{disabled}><span dir="auto">{esc(item.name)}</span></label>'
        f'<small>{kept}</small><span class="s-num">{esc(human_bytes(item.size_bytes))}</span></li>'
    )


def clean_up_plan(items: tuple[StorageItem, ...], language: str) -> str:
    """Exactly what would go, before it does."""
    size = sum(item.size_bytes for item in items)
    rows = "".join(
        f"<li><small>{esc(t(f'storage.kind.{item.kind}', language))}</small>"
        f'<span dir="auto">{esc(item.name)}</span>'
        f'<span class="s-num">{esc(human_bytes(item.size_bytes))}</span></li>'
        for item in items
    )
    go = t("page.storage.go", language, size_bytes=size)
    return (
        f'<h3 id="clean-title">{esc(t("page.storage.ask", language, count=len(items)))}</h3>'
        f"<ul>{rows}</ul>"
        f'<div class="s-row">'
        f"{button(t('page.storage.cancel', language), 'storage-close', kind='quiet')}"
        f"{button(go, 'storage-go', symbol='trash', kind='danger')}</div>"
    )


def clean_up_result(done: CleanUp, language: str) -> str:
    """What went and what did not, and why."""
    words = t("page.storage.done", language, count=len(done.gone), freed_bytes=done.freed_bytes)
    kept = "".join(
        f"<li>{esc(item.name)} — {esc(item.kept.render(language) if item.kept else '')}</li>"
        for item in done.kept
    )
    more = f'<ul class="e-kept">{kept}</ul>' if kept else ""
    return f'<section class="s-card" role="status"><p>{esc(words)}</p>{more}</section>'
