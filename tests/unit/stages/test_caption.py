"""The stage `caption`: what it sends to the vision service, and what it keeps to itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from tests import makers
from tests.support.vision import LIMITS, Colours, running

from caseframe.domain.errors import StageError
from caseframe.scanner.picture import Picture
from caseframe.scanner.sniff import sniff
from caseframe.stages.caption import CaptionStage
from caseframe.stages.stage import StageContext, VisionAccess


def frame(side: int) -> Picture:
    data = makers.encoded(Image.new("RGB", (side, side), (9, 8, 7)), "BMP")
    return Picture(data, sniff(data), LIMITS)


def test_what_the_service_does_not_take_is_not_held_for_it(tmp_path: Path) -> None:
    stage = CaptionStage()
    with running({"FACTS": Colours()}, image_bytes=1000) as service:
        stage.prepare(StageContext(tmp_path, VisionAccess(service.address, "FACTS", 30)))
        small, large = frame(4), frame(40)
        assert stage.gather(small, {}) is small.data
        said = f"{len(large.data)} bytes, over the vision service's limit of 1000 .*_image_bytes"
        for refusing in (stage.gather, stage.run):
            with pytest.raises(StageError, match=said):
                refusing(large, {})
        assert stage.run(small, {}).found
