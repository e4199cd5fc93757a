"""Choosing pictures: by `field=value` conditions (where.py), by what people type (language.py)."""

from __future__ import annotations

from caseframe.catalog.search.where import FIELDS, conditions

__all__ = ["FIELDS", "conditions"]
