"""Outcomes as workers make them, for tests of what becomes of them."""

from __future__ import annotations

import hashlib
from typing import Any

from caseframe.catalog.database import Catalog
from caseframe.catalog.recording import record
from caseframe.domain.evidence import Digests, Examined, FileState, PictureInfo, Thumbnail
from caseframe.domain.facts import Camera, Capture, Face, Facts, PerceptualHash, Place, Text
from caseframe.domain.work import Order, Outcome, StageOutcome, TaskState

ROOT = b"/source"


def digests(content: bytes) -> Digests:
    return Digests(
        hashlib.sha256(content).digest(),
        hashlib.sha1(content).digest(),
        hashlib.md5(content).digest(),
    )


def examined(content: bytes = b"a", **changes: Any) -> Examined:
    values: dict[str, Any] = {
        "state": FileState.PICTURE,
        "size": len(content),
        "modified_ns": 1_700_000_000_123_456_789,
        "mime": "image/jpeg",
        "digests": digests(content),
        "picture": PictureInfo("image/jpeg", "JPEG", 64, 48, 1, "sRGB", 8, 72.0),
        "thumbnail": Thumbnail("image/jpeg", 64, 48, b"\xff\xd8thumb"),
    }
    return Examined(**{**values, **changes})


def done(stage: str, **changes: Any) -> StageOutcome:
    values: dict[str, Any] = {
        "state": TaskState.DONE,
        "found": True,
        "payload": '{"word":"fine"}',
        "seconds": 0.5,
    }
    return StageOutcome(stage, changes.pop("version", "1"), **{**values, **changes})


def failed(stage: str, reason: str = "broken", attempts: int = 1) -> StageOutcome:
    return StageOutcome(stage, "1", TaskState.FAILED, reason=reason, attempts=attempts)


def outcome(path: bytes, content: bytes = b"a", *stages: StageOutcome, **changes: Any) -> Outcome:
    names = tuple(stage.stage for stage in stages)
    order_changes = changes.pop("order", {})
    order = Order(root=ROOT, path=path, stages=names, **order_changes)
    already_known = changes.pop("already_known", False)
    return Outcome(order, examined(content, **changes), stages, already_known)


def all_facts() -> Facts:
    return Facts(
        faces=(Face(1, 2, 30, 40, 0.9, ((1.0, 2.0),) * 5, tuple(i / 1000 for i in range(128))),),
        place=Place(45.9, -6.8, 1035.0, 12.5, "Chamonix", "Savoie", "France", "FR", 0.5),
        capture=Capture("2016-07-15T06:48:02+02:00", 120),
        camera=Camera("NIKON", "D750", "24-120mm"),
        perceptual_hash=PerceptualHash(bytes(range(32)), 90),
        texts=(Text("title", "red boat"), Text("camera", "NIKON")),
    )


def write(catalog: Catalog, job: str, *outcomes: Outcome) -> None:
    """Record outcomes of a job, in one transaction."""
    with catalog.begin() as connection:
        record(connection, job, outcomes)
