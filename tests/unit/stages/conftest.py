"""What tests of stages share: the exif stage over bytes."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from tests.unit.stages.exif_files import (
    Read,
)

from caseframe.domain.evidence import PictureInfo
from caseframe.stages.exif import ExifStage
from caseframe.stages.stage import Pixels, StageContext


@dataclass(frozen=True)
class Bytes:
    """A frame of bytes only."""

    data: bytes

    @property
    def info(self) -> PictureInfo:
        raise AssertionError("the stage needs no header")

    def pixels(self, max_side: int) -> Pixels:
        raise AssertionError("the stage needs no pixels")


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    """The exif stage over a frame of these bytes."""
    stage = ExifStage()
    stage.prepare(StageContext(tmp_path_factory.mktemp("cache")))
    return lambda data: stage.run(Bytes(data), {})
