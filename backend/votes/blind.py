"""What keeps a vote blind: codes that cannot be guessed, orders that cannot be foreseen, pictures
that do not tell what made them."""

import hashlib
import hmac
import re
import secrets
import struct

ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Without 0 O 1 I L, which are mistaken for each other, and U."""
LETTERS = 8
"""30^8 = 6.6e11 codes: at a thousand guesses a second one of a hundred open votes is found after 76
days on average, and all there is to gain is a look at unlabelled pictures."""
CODE = re.compile(f"[{ALPHABET}]{{{LETTERS}}}")
PIXELS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"IDAT", b"IEND"))
"""The chunks that say what a picture looks like (PNG, third edition, 11.2 and 11.3.2)."""
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def new_code() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(LETTERS))


def read_code(typed: str) -> str | None:
    """The code that somebody typed, in capitals or not, with spaces and hyphens; None if it can
    be none."""
    code = re.sub(r"[\s-]", "", typed[:40]).upper()
    return code if CODE.fullmatch(code) else None


def order_for(secret: str, voter: str, item: int, options: int) -> list[int]:
    """The places of the options as this voter sees them on this item: uniformly at random over
    voters and items, and the same each time."""

    def key(place: int) -> bytes:
        told = f"{voter}/{item}/{place}".encode()
        return hmac.new(secret.encode(), told, hashlib.sha256).digest()

    return sorted(range(options), key=key)


def voter_mark(secret: str, voter: str) -> str:
    """A short name of the voter's orders, for addresses that a browser may keep."""
    return hmac.new(secret.encode(), voter.encode(), hashlib.sha256).hexdigest()[:12]


def pixels_alone(png: bytes) -> bytes:
    """The PNG without the chunks that do not change its looks, such as texts; the others are copied
    byte by byte. Raises ValueError for what is no whole PNG."""
    if not png.startswith(SIGNATURE):
        raise ValueError("no PNG")
    kept, at = [SIGNATURE], len(SIGNATURE)
    while at < len(png):
        if at + 12 > len(png):
            raise ValueError("a PNG that is cut off")
        length, kind = struct.unpack_from(">I4s", png, at)
        end = at + 12 + length
        if end > len(png):
            raise ValueError("a PNG that is cut off")
        if kind in PIXELS:
            kept.append(png[at:end])
        at = end
    return b"".join(kept)
