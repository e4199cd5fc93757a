"""Which errors of the vision service may pass, and which ask for somebody to do something."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from caseframe.domain.errors import (
    CaseframeError,
    ModelUnavailable,
    StageAway,
    StageUnavailable,
    UsageError,
    VisionAway,
    VisionBusy,
    VisionLate,
)
from caseframe.stages.caption import CaptionStage
from caseframe.stages.stage import StageContext, VisionAccess
from caseframe.vision import client

ERRORS: list[tuple[CaseframeError, type[StageUnavailable]]] = [
    (VisionAway("restarting"), StageAway),
    (VisionBusy("others first"), StageAway),
    (VisionLate("loading"), StageAway),
    (ModelUnavailable("none installed"), StageUnavailable),
    (UsageError("no such model"), StageUnavailable),
]


@pytest.mark.parametrize(("error", "kind"), ERRORS)
def test_what_keeps_captions_away_says_whether_it_may_pass(
    monkeypatch: pytest.MonkeyPatch, error: CaseframeError, kind: type[StageUnavailable]
) -> None:
    vision: Any = mock.MagicMock()
    monkeypatch.setattr(client, "VisionClient", mock.Mock(return_value=vision))
    context = StageContext(Path("cache"), VisionAccess("127.0.0.1:1"))
    stage = CaptionStage()

    vision.identity.side_effect = error
    with pytest.raises(StageUnavailable, match=str(error)) as met:
        stage.prepare(context)
    assert type(met.value) is kind
    vision.close.assert_called_once()

    vision.identity.side_effect = None
    stage.prepare(context)
    vision.describe_many.side_effect = error
    with pytest.raises(StageUnavailable, match=str(error)) as met:
        stage.run_many([b"picture"])
    assert type(met.value) is kind
