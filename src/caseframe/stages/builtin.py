"""The stages that come with Caseframe: this tuple is all of them, in the order people see."""

from __future__ import annotations

BUILTIN: tuple[tuple[str, str], ...] = (
    ("exif", "caseframe.stages.exif:ExifStage"),
    ("place", "caseframe.stages.place:PlaceStage"),
    ("similar", "caseframe.stages.similar:SimilarStage"),
    ("faces", "caseframe.stages.faces:FacesStage"),
    ("facts", "caseframe.stages.facts:FactsStage"),
    ("caption", "caseframe.stages.caption:CaptionStage"),
)
