"""Words of a picture's metadata, fit to stand inside a sentence: cameras, towns, dates.

They are the picture's own claims and may be made to harm: what is no letter, digit or plain mark is
left out, and so nothing of them can end the sentence, start a tag or turn the reading direction.
"""

from __future__ import annotations

import unicodedata
from datetime import datetime

MOST = 60
"""Characters of one name."""
NEAR_KM = 30.0
"""Beyond this distance a picture is not near a town, and the distance is said."""

_MARKS = frozenset(" -'’/+.")
_COMPANY = frozenset(
    {"ag", "co", "company", "corp", "corporation", "gmbh", "inc", "kk", "llc", "ltd"}
)
_SPELLED_WITH_VOWEL = "AEFHILMNORSX"
"""Letters whose names begin with a vowel: an HTC, an LG."""
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


def plain(text: str | None) -> str:
    """One line of letters, digits and a few marks, at most `MOST` long; empty when none is left."""
    kept = "".join(
        c if unicodedata.category(c)[0] in "LMN" or c in _MARKS else " "
        for c in unicodedata.normalize("NFC", (text or "")[: 8 * MOST])
    )
    words = (_without_stops(word) for word in kept.split())
    line = " ".join(word for word in words if any(c.isalnum() for c in word))
    return _trimmed(_trimmed(line)[:MOST])


def _trimmed(line: str) -> str:
    line = line.strip(" -'’/+.")
    while line and unicodedata.category(line[0])[0] == "M":  # it would land on what stands before
        line = line[1:].lstrip(" -'’/+.")
    return line


def _without_stops(word: str) -> str:
    """A full stop stays between two letters or digits only, as in f/2.8."""
    return "".join(
        c
        for at, c in enumerate(word)
        if c != "." or (word[at - 1 : at].isalnum() and word[at + 1 : at + 2].isalnum())
    )


def camera(make: str | None, model: str | None) -> str:
    """A camera with its article, such as `a Nikon D7000`; empty when nothing is known of it."""
    maker = " ".join(word for word in plain(make).split() if word.lower() not in _COMPANY)
    body = plain(model)
    said = {word.lower() for word in body.split()}
    if body and any(word.lower() in said for word in maker.split()):
        maker = ""
    name = _trimmed(f"{maker} {body}"[:MOST])
    calm = " ".join(_calm(word) for word in name.split())
    return f"{_article(calm)} {calm}" if calm else ""


def _calm(word: str) -> str:
    """NIKON as Nikon; abbreviations such as HTC stay as they are."""
    shouted = word.isalpha() and word.isupper() and len(word) >= 4
    return word.capitalize() if shouted and any(c in "AEIOU" for c in word) else word


def _article(name: str) -> str:
    head = "".join(c if c.isalnum() else " " for c in name).split()[0]
    spelled = head.isupper() and (len(head) <= 3 or not any(c in "AEIOU" for c in head))
    vowels = _SPELLED_WITH_VOWEL if spelled else "AEIO8"
    return "an" if head[0].upper() in vowels else "a"


def moment(at: str | None) -> str:
    """`on 14 July 2016 at 15:02` of an ISO 8601 time, `on 14 July 2016` of a date; else empty."""
    try:
        when = datetime.fromisoformat(at or "")
    except ValueError:
        return ""
    day = f"on {when.day} {_MONTHS[when.month - 1]} {when.year}"
    return day if len(at or "") <= len("2016-07-14") else f"{day} at {when:%H:%M}"


def place(
    town: str | None, country: str | None, distance_km: float | None, at: tuple[float, float]
) -> str:
    """`near Chamonix, France`, with the distance where it is far; else the position in degrees."""
    names = ", ".join(dict.fromkeys(name for name in (plain(town), plain(country)) if name))
    if not plain(town):
        latitude, longitude = at
        return (
            f"at {abs(latitude):.2f}° {'N' if latitude >= 0 else 'S'}, "
            f"{abs(longitude):.2f}° {'E' if longitude >= 0 else 'W'}"
        )
    if distance_km is not None and distance_km > NEAR_KM:
        return f"about {distance_km:.0f} km from {names}"
    return f"near {names}"
