"""Memory over time, as a small drawing."""

from collections.abc import Sequence

from ui.parts.markup import esc

WIDTH, HEIGHT = 160, 32


def memory_curve(
    samples: Sequence[tuple[float, int]], words: str, peak_bytes: int, limit_bytes: int = 0
) -> str:
    """`samples` are (time, bytes); `words` say what is seen; a line marks the limit, 0 is none.
    Empty for fewer than two samples."""
    if len(samples) < 2:
        return ""
    top = max(limit_bytes, peak_bytes, 1)
    start, span = samples[0][0], max(samples[-1][0] - samples[0][0], 0.1)

    def height(size: int) -> float:
        return round(HEIGHT - 1 - (HEIGHT - 2) * size / top, 1)

    points = " ".join(
        f"{round(WIDTH * (at - start) / span)},{height(size)}" for at, size in samples
    )
    limit = height(limit_bytes)
    line = f'<line x1="0" x2="{WIDTH}" y1="{limit}" y2="{limit}"/>' if limit_bytes else ""
    return (
        f'<svg class="v-curve" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-label="{esc(words)}"><title>{esc(words)}</title>{line}'
        f'<polygon points="0,{HEIGHT} {points} {WIDTH},{HEIGHT}"/>'
        f'<polyline points="{points}"/></svg>'
    )
