"""The template of a tile server: what is taken, and what is an error at the start."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import Cli

from caseframe.domain.errors import UsageError
from caseframe.domain.tiles import tile_template
from caseframe.settings import load_settings
from caseframe.web.security import content_policy

GOOD = (
    "https://tiles.example.org/{z}/{x}/{y}.png",
    "http://127.0.0.1:8080/{z}/{x}/{y}",
    "https://{s}.tile.example.org/{z}/{x}/{y}{r}.png?key=a-b_c",
    "http://[::1]:8080/osm/{z}/{x}/{y}.webp",
)
BAD = (
    "javascript:alert(1)", "javascript://x/{z}/{x}/{y}", "data:image/png,{z}{x}{y}", "", "tiles",
    "ftp://tiles.example.org/{z}/{x}/{y}", "file:///{z}/{x}/{y}", "//tiles.example.org/{z}/{x}/{y}",
    "https://tiles.example.org/{z}/{x}.png", "https://tiles.example.org/", "https:///{z}/{x}/{y}",
    "https://{z}.example.org/{x}/{y}", "https://user:password@example.org/{z}/{x}/{y}",
    "https://example.org;script-src *;/{z}/{x}/{y}", "https://example.org /{z}/{x}/{y}",
    'https://example.org/{z}/{x}/{y}"onload="x', "https://example.org/{z}/{x}/{y}\n",
    "https://example.org/{z}/{x}/{y};script-src *",
)  # fmt: skip


@pytest.mark.parametrize("url", GOOD)
def test_templates(url: str) -> None:
    assert tile_template(url) == url
    assert load_settings(tile_url=url).tile_url == url
    assert content_policy(url).count(";") == content_policy().count(";")


@pytest.mark.parametrize("url", BAD)
def test_what_is_none_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(UsageError, match=r"tile_url.*https://tiles\.example\.org/"):
        load_settings(tile_url=url)


def test_a_server_does_not_start_with_one(cli: Cli, tmp_path: Path) -> None:
    done = cli("serve", "--case", tmp_path / "case", CASEFRAME_TILE_URL="javascript:alert(1)")
    assert done.status == 2
    assert "tile_url" in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "case").exists()
