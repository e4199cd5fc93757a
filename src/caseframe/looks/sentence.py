"""One honest sentence from what is known of a picture; what is not known is left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MOST = 400
"""Characters that no sentence surpasses: its parts are bounded (`caseframe.looks.words`)."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the sentence may say; None, False or empty leaves a part out.

    `camera`, `moment` and `place` come from `caseframe.looks.words`, with article or preposition.
    """

    kind: str | None = None
    sharpness: str | None = None
    brightness: str | None = None
    colourless: bool = False
    colours: Sequence[str] = ()
    faces: int | None = None
    """None when nobody looked; 0 when somebody looked and found none."""
    camera: str = ""
    moment: str = ""
    place: str = ""


def sentence(known: Known) -> str:
    """For instance: A sharp photograph, mostly blue and white, with 2 faces, taken near Oslo."""
    adjectives = ", ".join(_adjectives(known))
    head = f"A {adjectives} {known.kind or 'picture'}".replace("  ", " ")
    return ", ".join((head, *_parts(known))) + "."


def _adjectives(known: Known) -> Iterator[str]:
    photographed = known.kind == "photograph"
    if photographed and known.sharpness:
        yield known.sharpness
    if known.brightness and not (known.kind == "scan" and known.brightness == "light"):
        yield known.brightness  # that paper is light goes without saying
    if photographed and known.colourless:
        yield "black-and-white"


def _parts(known: Known) -> Iterator[str]:
    if known.colours and not (known.kind == "photograph" and known.colourless):
        yield f"mostly {_listed(known.colours)}"
    if known.faces is not None:
        yield _faces(known.faces)
    made = f"with {known.camera}" if known.camera else ""
    origin = " ".join(part for part in (known.moment, made, known.place) if part)
    if origin:
        yield f"{'made' if known.kind in ('scan', 'drawing', None) else 'taken'} {origin}"


def _faces(count: int) -> str:
    if count == 0:
        return "with no faces found"  # which is not to say that nobody is there
    return "with 1 face" if count == 1 else f"with {count:,} faces"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
