"""Aspect presets: the names that the form offers; the sizes are worked out in `sizes.js`."""

ASPECTS = {"1:1": 1.0, "4:3": 4 / 3, "3:4": 3 / 4, "16:9": 16 / 9, "9:16": 9 / 16}
TOLERANCE = 0.04
"""Sides are rounded to multiples, so a preset's size meets its ratio only nearly."""


def aspect_of(width: float, height: float) -> str | None:
    """The preset that a size belongs to, if any."""
    ratio = width / height
    for name, aspect in ASPECTS.items():
        if abs(ratio / aspect - 1) < TOLERANCE:
            return name
    return None
