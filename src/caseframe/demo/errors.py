"""What can be wrong with a wish for the demo collection."""

from __future__ import annotations

from caseframe.domain.errors import CaseframeError


class DemoError(CaseframeError):
    """The demo cannot be drawn; the message says what to install or to choose instead."""
