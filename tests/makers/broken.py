"""Good pictures damaged: cut off, flipped, spliced, blanked (R1, R16, R17)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import lru_cache

from .photos import FORMATS, SUFFIXES, animation, photo, progressive

Damage = Callable[[bytes, bytes, random.Random], bytes]


@lru_cache(maxsize=32)
def _good(kind: str, seed: int) -> bytes:
    return photo(96, 64, seed, format=kind)


def cut(data: bytes, percent: float) -> bytes:
    """The first so many per cent of a file."""
    return data[: int(len(data) * percent / 100)]


def bad_checksum(png: bytes) -> bytes:
    """A PNG whose first IDAT fails its checksum; the pixels are as they were."""
    at = png.index(b"IDAT")
    end = at + 4 + int.from_bytes(png[at - 4 : at])
    return png[:end] + bytes(byte ^ 0x5A for byte in png[end : end + 4]) + png[end + 4 :]


def garbage_in_scan(jpeg: bytes, length: int = 64, seed: int = 0) -> bytes:
    """A JPEG with random bytes in the middle of its scan, none of them 0xFF."""
    start = jpeg.rindex(b"\xff\xda")
    middle = (start + len(jpeg)) // 2
    noise = bytes(random.Random(seed).randrange(255) for _ in range(length))
    return jpeg[:middle] + noise + jpeg[middle + length :]


def zero_filled(data: bytes, percent: float) -> bytes:
    """The file at its full length, everything after so many per cent zero: a disk lost its end."""
    kept = cut(data, percent)
    return kept + bytes(len(data) - len(kept))


def claims_taller(jpeg: bytes, times: int = 4) -> bytes:
    """A baseline JPEG whose header promises so many times its true height."""
    at = jpeg.index(b"\xff\xc0") + 5
    height = int.from_bytes(jpeg[at : at + 2]) * times
    return jpeg[:at] + height.to_bytes(2) + jpeg[at + 2 :]


def without_trailer(gif: bytes) -> bytes:
    """A GIF without its last byte."""
    assert gif.endswith(b";")
    return gif[:-1]


def _truncate(data: bytes, _: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(len(data))]


def _flip(data: bytes, _: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    for _turn in range(dice.choice((1, 1, 2, 8, 40))):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _flip_header(data: bytes, _: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    for _turn in range(dice.choice((1, 2, 4))):
        changed[dice.randrange(min(200, len(changed)))] = dice.choice((0, 1, 0x7F, 0x80, 0xFF))
    return bytes(changed)


def _splice(data: bytes, other: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(1, len(data))] + other[dice.randrange(len(other)) :]


def _blank(data: bytes, _: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(len(data))
    end = min(len(data), start + dice.choice((4, 64, 512, 4096)))
    return data[:start] + bytes(end - start) + data[end:]


def _repeat(data: bytes, _: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(len(data))
    part = data[start : start + dice.choice((4, 64, 512))]
    return data[:start] + part * dice.choice((2, 5)) + data[start + len(part) :]


def _remove(data: bytes, _: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(len(data))
    return data[:start] + data[start + dice.choice((1, 4, 64, 512)) :]


DAMAGES: dict[str, Damage] = {
    "truncated": _truncate,
    "flipped": _flip,
    "header": _flip_header,
    "spliced": _splice,
    "blanked": _blank,
    "repeated": _repeat,
    "removed": _remove,
}


def broken_files(count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """That many damaged pictures with file names, all formats and damages in turn.

    Few of them may still be good pictures: a flipped bit in a colour is no damage that shows.
    """
    dice = random.Random(seed)
    kinds = list(DAMAGES.items())
    for number in range(count):
        kind = FORMATS[number % len(FORMATS)]
        how, damage = kinds[number // len(FORMATS) % len(kinds)]
        good = _good(kind, dice.randrange(3))
        other = _good(dice.choice(FORMATS), dice.randrange(3))
        yield f"{number:05d}-{how}.{SUFFIXES[kind]}", damage(good, other, dice)


def corrupt_pictures() -> dict[str, bytes]:
    """Pictures that certainly miss something, each from a good one; none may pass for whole."""
    files = {"empty.jpg": b"", "one-byte.png": b"\x89", "blanked.jpg": bytes(4096)}
    for kind in FORMATS:
        whole = photo(320, 240, 7, format=kind)
        for percent in (5, 50, 90, 99):
            files[f"cut-{percent}.{SUFFIXES[kind]}"] = cut(whole, percent)
        files[f"last-byte.{SUFFIXES[kind]}"] = whole[:-1]
    jpeg, waves = photo(320, 240, 7), progressive(320, 240, 7)
    files |= {f"progressive-cut-{n}.jpg": cut(waves, n) for n in (20, 50, 90, 99)}
    files["garbage.jpg"] = garbage_in_scan(jpeg)
    files["zero-filled.jpg"] = zero_filled(jpeg, 60)
    files["zero-filled-with-end.jpg"] = zero_filled(jpeg[:-2], 60) + jpeg[-2:]
    files["cut-with-end.jpg"] = cut(jpeg, 60) + jpeg[-2:]
    files["claims-taller.jpg"] = claims_taller(jpeg)
    files["zero-filled.png"] = zero_filled(photo(320, 240, 7, format="PNG"), 60)
    files["bad-checksum.png"] = bad_checksum(photo(320, 240, 7, format="PNG"))
    files["no-trailer.gif"] = without_trailer(photo(320, 240, 7, format="GIF"))
    for kind in ("GIF", "PNG", "TIFF"):
        files[f"frames-cut.{SUFFIXES[kind]}"] = cut(animation(format=kind), 60)
    return files


def unseen_damage() -> dict[str, bytes]:
    """Pictures blanked from 60 % on, whose decoders say nothing: no length or checksum is wrong.

    Only the long run of zero bytes gives them away.
    """
    formats = ("WEBP", "TIFF", "BMP", "HEIF", "AVIF")
    return {
        f"zero-filled.{SUFFIXES[name]}": zero_filled(photo(320, 240, 7, format=name), 60)
        for name in formats
    }
