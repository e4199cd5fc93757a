"""Browsing the sources root: what is listed, and that nothing leads out of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.makers.names import odd_names, write_special_files

from caseframe.domain.errors import NotFound
from caseframe.scanner import sources
from caseframe.web.sources import folder_at, list_folder, token_of


@pytest.fixture
def root(tmp_path: Path) -> bytes:
    made = tmp_path / "root"
    (made / "a" / "b").mkdir(parents=True)
    (made / "c").mkdir()
    (made / "one.jpg").write_bytes(b"1")
    (made / "a" / "two.jpg").write_bytes(b"2")
    (tmp_path / "outside").mkdir()
    return os.fsencode(made)


def test_folders_by_name_and_the_number_of_files(root: bytes) -> None:
    top = list_folder(root, "")
    assert [folder.name for folder in top.folders] == ["a", "c"]
    assert (top.files, top.more, top.parent) == (1, False, None)
    below = list_folder(root, "a")
    assert [folder.token for folder in below.folders] == ["a/b"]
    assert (below.files, below.parent) == (1, "")
    assert list_folder(root, "a/b").parent == "a"
    assert folder_at(root, "a/b") == root + b"/a/b"
    assert folder_at(root, "") == root


@pytest.mark.parametrize(
    "token",
    ["..", "../outside", "a/..", "a/../..", "a/../../outside", "/", "/etc", "%2e%2e",
     "%2e%2e/outside", "..%2foutside", "a/%2e%2e/%2e%2e/outside", "nothing", "one.jpg",
     "one.jpg/x", "a%00", "%00", "a/./b/../../..", ".", "a//b", "a/", "x" * 5000, "a/" * 3000],
)  # fmt: skip
def test_nothing_leads_out_of_the_root(root: bytes, token: str) -> None:
    with pytest.raises(NotFound):
        list_folder(root, token)
    with pytest.raises(NotFound):
        folder_at(root, token)


def test_links_and_special_files_are_neither_listed_nor_followed(
    root: bytes, tmp_path: Path
) -> None:
    made = write_special_files(tmp_path / "root")
    (tmp_path / "root" / "way out").symlink_to(tmp_path / "outside")
    (tmp_path / "root" / "way round").symlink_to(tmp_path / "root" / "a")
    top = list_folder(root, "")
    assert [folder.name for folder in top.folders] == ["a", "c"]
    assert top.files == 3  # one.jpg, and of the special ones the sparse and the locked file
    for name in (b"way out", b"way round", b"way round/b", *made.values()):
        with pytest.raises(NotFound):
            folder_at(root, token_of(name))


def test_every_name_that_a_folder_can_have_comes_back(root: bytes) -> None:
    made = []
    for name in odd_names().values():
        try:
            os.mkdir(root + b"/c/" + name)
        except OSError:
            continue
        made.append(name)
    listed = list_folder(root, "c").folders
    assert len(listed) == len(made) > 20
    assert {folder_at(root, folder.token) for folder in listed} == {
        root + b"/c/" + name for name in made
    }
    for folder in listed:
        assert folder.token.isascii()
        folder.name.encode()  # text that can be shown


def test_a_root_that_is_gone_is_said(root: bytes) -> None:
    with pytest.raises(NotFound, match="sources root"):
        list_folder(root + b" gone", "")


def test_of_a_giant_folder_a_part_is_listed(root: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_MOST", 5)
    for number in range(20):
        os.mkdir(root + b"/c/%d" % number)
    listing = list_folder(root, "c")
    assert listing.more
    assert len(listing.folders) == 5
