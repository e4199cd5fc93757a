"""All measures of one picture together."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from caseframe.looks import colours, kind, light

GREY_SHARE = 0.985
"""Share of pixels without colour from which a whole picture is without."""


@dataclass(frozen=True, slots=True)
class Looks:
    """What a picture looks like; None where the measures leave it open."""

    kind: kind.Kind | None
    brightness: Literal["dark", "light"] | None
    sharpness: Literal["sharp", "blurred"] | None
    colourless: bool
    colours: tuple[colours.Named, ...]
    main_colours: tuple[str, ...]
    measures: dict[str, float]
    """The numbers behind the words, by name; those that could not be taken are not in it."""


def look(rgb: colours.Pixels, hints: kind.Hints) -> Looks:
    """Measure an upright picture, (height, width, 3), its longer side about 512 pixels."""
    luma = light.luma(rgb)
    bright, sharp = light.brightness(luma), light.sharpness(luma)
    seen, shares, grey = kind.traits(rgb, luma), colours.named(rgb), colours.colourless(rgb)
    measures = {f"luma_{name}": value for name, value in asdict(bright).items()}
    measures |= {"colourless": grey} | ({} if sharp is None else {"sharpness": sharp})
    measures |= {} if seen is None else {name: float(v) for name, v in asdict(seen).items()}
    return Looks(
        kind=kind.kind_of(seen, hints),
        brightness=bright.word,
        sharpness=light.sharpness_word(sharp),
        colourless=grey >= GREY_SHARE,
        colours=shares,
        main_colours=tuple(colour.name for colour in colours.main(shares)),
        measures=measures,
    )
