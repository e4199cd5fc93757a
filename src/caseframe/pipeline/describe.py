"""Describing single pictures from measured facts: FACTS, the describer that needs no model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

from caseframe import __version__
from caseframe.domain.errors import OverLimit, PictureError
from caseframe.domain.text import one_line
from caseframe.pipeline.worker import TOO_MUCH_MEMORY, Ready, prepare, run_stage
from caseframe.scanner.limits import Limits
from caseframe.scanner.picture import Picture
from caseframe.scanner.sniff import PICTURES, sniff
from caseframe.stages.facts import MAKER, SIDE, FactsResult, FactsStage
from caseframe.stages.registry import Available, load_stages
from caseframe.stages.stage import StageContext, StageResult
from caseframe.vision.describer import Identity

_FORMATS = ", ".join(kind.format for kind in PICTURES)


class FactsDescriber:
    """A `Describer`: what the stages find in a picture, said in one sentence.

    `cache` is the stages' cache folder. All work is done by `prepare`, in a process of a pool;
    `describe` hands its sentences on.
    """

    batch = 1

    def __init__(self, cache: Path, limits: Limits) -> None:
        self.identity = Identity(MAKER, f"rules {FactsStage.version}", __version__, _digest(cache))
        self.prepare: Callable[[bytes], str] = partial(describe_facts, cache=cache, limits=limits)

    def load(self) -> None:
        """Nothing to load: the stages are made ready where they run."""

    def describe(self, prepared: Sequence[str]) -> list[str]:
        """The sentences that `prepare` made, in order."""
        return list(prepared)


def describe_facts(data: bytes, *, cache: Path, limits: Limits) -> str:
    """The sentence for the picture in `data`, the bytes of a whole file.

    Raises PictureError when it is no picture or a damaged one, OverLimit when it is too large.
    """
    try:
        return _sentence(_sound_picture(data, limits), cache)
    except MemoryError:
        raise OverLimit(TOO_MUCH_MEMORY) from None


def _sound_picture(data: bytes, limits: Limits) -> Picture:
    if not data:
        raise PictureError("the picture is empty; send the bytes of a whole file")
    kind = sniff(data)
    if not kind.picture:
        raise PictureError(f"not a picture: {one_line(kind.mime)}; send one of {_FORMATS}")
    if len(data) > limits.max_file_bytes:
        raise OverLimit(
            f"{len(data):,} bytes, over the limit of {limits.max_file_bytes:,} (max_file_bytes)"
        )
    picture = Picture(data, kind, limits)
    picture.pixels(SIDE)
    if picture.damage is not None:
        raise PictureError(f"the picture is corrupt: {picture.damage}")
    return picture


def _sentence(picture: Picture, cache_folder: Path) -> str:
    results: dict[str, StageResult] = {}
    said: StageResult | None = None
    for ready in _stages(cache_folder):
        if ready.reason is not None:
            continue
        stage = ready.stage
        earlier = {name: results[name] for name in stage.after if name in results}
        outcome, said = run_stage(stage, picture, earlier)
        if said is not None:
            results[stage.name] = said
        elif stage.name == FactsStage.name:
            raise PictureError(outcome.reason or "nothing could be measured")
    if not isinstance(said, FactsResult):
        raise PictureError("nothing could be measured: the stage facts is not available")
    return said.sentence


@cache
def _stages(cache_folder: Path) -> tuple[Ready, ...]:
    """The stages that a sentence is made of, in working order, loaded once a process."""
    context = StageContext(cache_folder)
    return tuple(prepare(found.stage, context) for found in _selected())


def _selected() -> tuple[Available, ...]:
    return load_stages().select([FactsStage.name])


def _digest(cache_folder: Path) -> str:
    """SHA-256 (hex) over the versions of the rules and stages, and which of them work here."""
    context = StageContext(cache_folder)
    lines = [
        f"{found.stage.name} {found.stage.version} {found.stage.missing(context) is None}"
        for found in _selected()
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
