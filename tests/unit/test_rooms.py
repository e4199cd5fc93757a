"""The import rules of `make lint` are the table in docs/architecture.md, and have no holes."""

from __future__ import annotations

import re
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import grimp
import pytest
from importlinter.api import read_configuration
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.independence import IndependenceContract
from importlinter.contracts.protected import ProtectedContract

ROOT = Path(__file__).parents[2]
_PACKAGE = "caseframe."
_KINDS: dict[str, Any] = {
    "forbidden": ForbiddenContract,
    "independence": IndependenceContract,
    "protected": ProtectedContract,
}
_CONFIGURATION = read_configuration(str(ROOT / "pyproject.toml"))


@cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph("caseframe", cache_dir=None)


@cache
def _rooms() -> dict[str, str]:
    """Each room and one of its modules that may stand for it as importer."""
    rooms: dict[str, str] = {}
    for room in sorted(_graph().find_children("caseframe")):
        modules = sorted(_graph().find_descendants(room)) or [room]
        rooms[room.removeprefix(_PACKAGE)] = modules[0]
    return rooms


@cache
def _table() -> dict[str, set[str]]:
    """What each room may know of, as the page says: rooms, and single modules of rooms."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| (`[^|]+) \|[^|]+\| ([^|]+) \|$", page, re.MULTILINE)
    return {
        room: set(re.findall(r"`([\w.]+)`", knows))
        for names, knows in rows
        for room in re.findall(r"`(\w+)(?:/|\.py)`", names)
    }


def broken(importer: str, imported: str) -> list[str]:
    """Names of the contracts that one more import would break."""
    graph = deepcopy(_graph())
    graph.add_import(importer=importer, imported=imported)
    return [
        options["name"]
        for options in _CONFIGURATION["contracts_options"]
        if not _contract(options).check(deepcopy(graph), verbose=False).kept
    ]


def _contract(options: dict[str, Any]) -> Any:
    return _KINDS[options["type"]](options["name"], _CONFIGURATION["session_options"], options)


def test_every_room_stands_in_the_table() -> None:
    assert set(_table()) == set(_rooms())


@pytest.mark.parametrize("importer", sorted({*_rooms()} - {"cli", "__main__"}))
def test_what_is_not_in_the_table_breaks_a_contract(importer: str) -> None:
    known = _table()[importer]
    unknown = {*_rooms()} - {importer} - {name.partition(".")[0] for name in known}
    missed = [room for room in unknown if not broken(_rooms()[importer], _PACKAGE + room)]
    assert missed == []


@pytest.mark.parametrize(
    ("importer", "room"),
    sorted(
        {(room, n.partition(".")[0]) for room, names in _table().items() for n in names if "." in n}
    ),
)
def test_of_some_rooms_only_some_modules_may_be_known(importer: str, room: str) -> None:
    modules = {m.removeprefix(_PACKAGE) for m in _graph().find_children(_PACKAGE + room)}
    others = sorted(modules - _table()[importer])
    missed = [one for one in others if not broken(_rooms()[importer], _PACKAGE + one)]
    assert missed == []


def test_what_is_in_the_table_breaks_none() -> None:
    for importer in ("stages.faces", "web.app", "vision.server"):
        known = _table()[importer.partition(".")[0]]
        for name in known:
            assert broken(_PACKAGE + importer, _PACKAGE + name) == [], (importer, name)


@pytest.mark.parametrize("importer", ["worker", "local", "plan", "runner", "rabbit", "station"])
def test_workers_reach_no_catalog_through_others(importer: str) -> None:
    assert broken(f"caseframe.pipeline.{importer}", "caseframe.pipeline.collect")
