"""The documentation is complete: what the code has, a page names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs.generate import PAGES

from caseframe.catalog.search import FIELDS
from caseframe.cli.main import COMMANDS
from caseframe.domain.evidence import FileState
from caseframe.domain.work import TaskState
from caseframe.settings import Settings
from caseframe.stages.builtin import BUILTIN

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.mark.parametrize("name", sorted(PAGES))
def test_generated_pages_are_current(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name](), "run: make docs"


def test_every_setting_stage_command_and_state_is_documented() -> None:
    text = "\n".join(page.read_text() for page in DOCS.glob("*.md"))
    wanted = [
        *(f"CASEFRAME_{name.upper()}" for name in Settings.model_fields),
        *(f"`{name}`" for name, _ in BUILTIN),
        *(f"caseframe {name}" for name in COMMANDS),
        *(f"`{state}`" for state in (*FileState, *TaskState)),
        *(f"`{field.name}=" for field in FIELDS),
    ]
    assert [word for word in wanted if word not in text] == []


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*DOCS.glob("*.md"), *ROOT.glob("*.md")]
    assert pages
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), (page.name, target)


def test_no_module_outgrows_its_room() -> None:
    sources = [*(ROOT / "src").rglob("*.py"), *(ROOT / "bench").glob("*.py")]
    long = {f.name: n for f in sources if (n := len(f.read_text().splitlines())) > 400}
    assert long == {}


def test_every_guarantee_has_a_test_and_every_number_its_line() -> None:
    """The numbers of docs/guarantees.md, and those in the docstrings of tests."""
    lines = set(re.findall(r"^\| ([RS]\d+) \|", (DOCS / "guarantees.md").read_text(), re.MULTILINE))
    held = {number for text in _docstrings() for number in re.findall(r"\b[RS]\d+\b", text)}
    assert held == lines


def _docstrings() -> Iterator[str]:
    for file in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Module | ast.FunctionDef):
                yield ast.get_docstring(node) or ""
