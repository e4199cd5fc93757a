"""What the command line lists is what is there: paths to give back to it, counts, hints."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
import shlex
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
from tests import makers
from tests.conftest import Cli
from tests.support.cli import TIMEOUT, command, environment, run
from tests.support.scans import FAST, some_pictures

_DEEP = b"/".join([b"d" * 100] * 4)
_NAMES = (
    b"a  b.jpg",
    b"a\nb.jpg",
    rb"a\nb.jpg",
    b"=x.jpg",
    b"'=x.jpg",
    "\u202egpj.exe".encode(),
    b"\x1b[2Jclear.jpg",
    b"not-utf8-\xff.jpg",
    b"not-utf8-\xfe.jpg",
    b"\xfb\xff.jpg",
    _DEEP + b"/one.jpg",
    _DEEP + b"/two.jpg",
)


@pytest.fixture(scope="module")
def odd(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose `case` holds the same cut-off picture under many names."""
    base = tmp_path_factory.mktemp("odd")
    data = makers.photo(96, 64, 1)[:-40]
    for name in _NAMES:
        path = os.path.join(os.fsencode(base), b"pictures", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(os.fsdecode(path)).write_bytes(data)
    done = run("scan", "pictures", "--stages", FAST, cache=cache, cwd=base)
    assert done.status == 0, done.err
    return base


def _listed(words: list[str], marker: str) -> list[str]:
    """The paths of a listing, which stand behind `marker` on lines of their own."""
    return [line.removeprefix(marker) for line in words if line.startswith(marker)]


def test_every_listed_path_is_whole_and_show_answers_to_it(cli: Cli, odd: Path) -> None:
    lines = cli("duplicates", cwd=odd).out.splitlines()
    listed = set(_listed(lines, "  "))
    assert len(listed) == len(_NAMES)
    assert {r"a\nb.jpg", r"a\\nb.jpg", "a  b.jpg", r"\u202egpj.exe", r"not-utf8-\xff.jpg"} <= listed
    for path in (r"\u202egpj.exe", r"\x1b[2Jclear.jpg", r"not-utf8-\xfe.jpg", "a  b.jpg"):
        shown = cli("show", path, cwd=odd)
        assert shown.status == 0, shown.err
        first, *rest = shown.out.splitlines()
        assert first == path
        assert {line[len("same bytes ") :] for line in rest} >= listed - {path}


def test_show_finds_a_digest_in_the_source_that_is_named(cli: Cli, tmp_path: Path) -> None:
    data = makers.photo(96, 64, 1)
    for number in ("1", "2"):
        (tmp_path / f"s{number}").mkdir()
        (tmp_path / f"s{number}" / f"{number}.jpg").write_bytes(data)
        done = cli("scan", f"s{number}", "--stages", FAST, cwd=tmp_path)
        assert done.status == 0, done.err
    for number in ("1", "2"):
        shown = cli("show", sha256(data).hexdigest(), "--source", f"s{number}", cwd=tmp_path)
        assert (shown.status, shown.out.splitlines()[0]) == (0, f"{number}.jpg"), shown.err


def test_an_export_below_a_file_is_refused_in_one_line(cli: Cli, odd: Path) -> None:
    (odd / "a-file").write_bytes(b"")
    refused = cli("export", "-o", "a-file/x.csv", cwd=odd)
    assert refused.status == 1
    assert refused.err.count("\n") == 1
    assert "the export cannot be written to a-file/x.csv: Not a directory" in refused.err


@pytest.mark.parametrize("place", [".", "", "..", "/"])
def test_an_export_to_a_folder_is_refused_in_one_line(cli: Cli, odd: Path, place: str) -> None:
    refused = cli("export", "-o", place, cwd=odd)
    assert (refused.status, refused.out) == (1, "")
    assert refused.err.count("\n") == 1
    assert "is a folder; name a file in it" in refused.err


def test_an_export_replaces_neither_a_device_nor_what_is_written_to(
    cli: Cli, odd: Path, tmp_path: Path
) -> None:
    null, ours = tmp_path / "null", tmp_path / "ours"
    null.symlink_to("/dev/null")
    ours.symlink_to("/proc/self/fd/1")
    whole = cli("export", cwd=odd).out
    assert cli("export", "-o", null, cwd=odd).status == 0
    assert cli("export", "-o", ours, cwd=odd).out == whole
    file = tmp_path / "lines"
    with file.open("w") as stream:
        stream.write("before\n")
        stream.flush()
        words = command("export", "-o", ours)
        env = environment(tmp_path)
        subprocess.run(words, stdout=stream, cwd=odd, env=env, timeout=TIMEOUT, check=True)
    assert file.read_text() == f"before\n{whole}"
    assert (null.is_symlink(), ours.is_symlink()) == (True, True)
    assert sorted(tmp_path.iterdir()) == [file, null, ours]


def test_problems_tells_its_files_apart(cli: Cli, odd: Path) -> None:
    lines = cli("problems", cwd=odd).out.splitlines()
    assert len({line.partition(":")[0] for line in lines}) == len(_NAMES)
    assert all(line.isprintable() for line in lines)


def test_csv_holds_every_path_exactly(cli: Cli, odd: Path) -> None:
    text = cli("export", "--format", "csv", cwd=odd).out
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert {
        base64.b64decode(row["path_bytes"].removeprefix("'"))
        if row["path_bytes"]
        else row["path"].encode()
        for row in rows
    } == set(_NAMES)
    assert all(not row["path_bytes"] for row in rows if row["path"] == "a  b.jpg")


def test_json_lines_are_as_ever(cli: Cli, odd: Path) -> None:
    lines = cli("export", cwd=odd).lines
    with_bytes = {base64.b64decode(line["path_bytes"]) for line in lines if "path_bytes" in line}
    assert with_bytes == {name for name in _NAMES if b"\xff" in name or b"\xfe" in name}
    assert {line["path"] for line in lines} >= {"a\nb.jpg", r"a\nb.jpg", "=x.jpg", "'=x.jpg"}


def _paths(records: list[dict[str, str]]) -> set[bytes]:
    exact = {base64.b64decode(one["path_bytes"]) for one in records if "path_bytes" in one}
    return exact | {one["path"].encode() for one in records if "path_bytes" not in one}


def test_listings_in_json_hold_every_path_exactly(cli: Cli, odd: Path) -> None:
    found = [json.loads(line) for line in cli("problems", "--json", cwd=odd).out.splitlines()]
    assert _paths(found) == set(_NAMES)
    (group,) = map(json.loads, cli("duplicates", "--json", cwd=odd).out.splitlines())
    assert _paths(group["files"]) == set(_NAMES)
    assert [one["path"] for one in group["files"]] == group["paths"]


def test_verify_in_json_says_exactly_what_is_missing(cli: Cli, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/pictures"
    os.mkdir(folder)
    gone = os.path.join(folder, b"\xfb\xff.jpg")
    Path(os.fsdecode(gone)).write_bytes(makers.photo(96, 64, 1))
    assert cli("scan", "pictures", "--stages", FAST, cwd=tmp_path).status == 0
    os.remove(gone)
    first = json.loads(cli("verify", "--json", cwd=tmp_path).out.splitlines()[0])
    assert first["verdict"] == "missing"
    assert _paths([first]) == {b"\xfb\xff.jpg"}


def test_problems_of_a_stage_that_is_none(cli: Cli, odd: Path) -> None:
    wrong = cli("problems", "--stage", "nope", cwd=odd)
    assert (wrong.status, wrong.out) == (2, "")
    assert wrong.err.startswith("caseframe: no stage is called nope; there are: scan, exif, ")
    scan = cli("problems", "--stage", "scan", cwd=odd)
    assert len(scan.out.splitlines()) >= len(_NAMES)
    assert cli("problems", "--stage", "faces", cwd=odd).out == "No problems.\n"


def test_hints_repeat_the_case_where_it_was_given(cli: Cli, odd: Path, tmp_path: Path) -> None:
    assert "with: caseframe problems\n" in cli("status", cwd=odd).out
    case = tmp_path / "my case"
    scanned = cli("scan", odd / "pictures", "--stages", "exif", "--case", case)
    hint = f"caseframe problems --case {shlex.quote(str(case))}\n"
    assert scanned.out.endswith(hint)
    assert cli("status", "--case", case).out.endswith(hint)
    other = cli("problems", "--case", case, "--source", tmp_path)
    assert other.err.endswith(f"caseframe scan SOURCE --case {shlex.quote(str(case))}\n")


def test_one_of_each_is_no_plural(cli: Cli, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "a.jpg").write_bytes(makers.photo(96, 64, 1))
    scanned = cli("scan", "pictures", "--stages", "exif", cwd=tmp_path)
    assert "1 file: 1 sound picture; 1 different picture, sound or not." in scanned.out
    again = cli("rerun", "--stage", "exif", cwd=tmp_path)
    assert "1 picture to look at again\n" in again.out
    (pictures / "a.jpg").unlink()
    gone = cli("scan", "pictures", "--stages", "exif", cwd=tmp_path)
    assert "1 is missing now." in gone.out


def test_the_card_of_what_is_no_picture(cli: Cli, tmp_path: Path) -> None:
    some_pictures(tmp_path / "pictures")
    assert cli("scan", "pictures", "--stages", "exif", cwd=tmp_path).status == 0
    said = cli("show", "note.txt", cwd=tmp_path).out
    assert "not a picture: text/plain" in said
    assert "not-a-picture" not in said


def test_what_is_corrupt_or_missing_now_says_so(cli: Cli, tmp_path: Path) -> None:
    pictures = some_pictures(tmp_path / "pictures")
    (pictures / "cut.jpg").write_bytes(makers.cut(makers.photo(96, 64, 1), 50))
    for _ in range(2):
        assert cli("scan", "pictures", "--stages", "exif", cwd=tmp_path).status == 0
        (pictures / "sub" / "1.jpg").unlink(missing_ok=True)
    gone, there = (cli("show", f"sub/{n}.jpg", cwd=tmp_path).out for n in (1, 2))
    assert "\nmissing now  the last scan did not find it\n" in gone
    assert "missing" not in there
    assert re.search(r"^what +JPEG, 96 x 64, sRGB", there, re.MULTILINE)
    cut = cli("show", "cut.jpg", cwd=tmp_path).out
    assert re.search(r"^what +corrupt: JPEG, 96 x 64", cut, re.MULTILINE)
    text = cli("export", "--format", "csv", cwd=tmp_path).out
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert list(rows[0])[-1] == "missing"
    assert {row["path"]: row["missing"] for row in rows if row["missing"]} == {"sub/1.jpg": "true"}


def test_what_is_missing_now_is_no_duplicate(cli: Cli, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    photo = makers.photo(512, 384, 1)
    for name, data in (("a", photo), ("b", photo), ("c", photo + b"\0"), ("d", photo + b"\0\0")):
        (pictures / f"{name}.jpg").write_bytes(data)

    def groups() -> list[tuple[str, list[str]]]:
        assert cli("scan", "pictures", "--stages", "similar", cwd=tmp_path).status == 0
        lines = cli("duplicates", "--json", cwd=tmp_path).lines
        return [(line["kind"], line["paths"]) for line in lines]

    exact = ("exact", ["a.jpg", "b.jpg"])
    assert groups() == [exact, ("near", ["a.jpg", "b.jpg", "c.jpg", "d.jpg"])]
    (pictures / "d.jpg").unlink()
    assert groups() == [exact, ("near", ["a.jpg", "b.jpg", "c.jpg"])]
    for name in ("b", "c"):
        (pictures / f"{name}.jpg").unlink()
    assert groups() == []
    card = cli("show", "a.jpg", cwd=tmp_path).out
    assert not any(f"{name}.jpg" in card for name in "bcd")


def test_doctor_marks_what_is_optional_and_not_there(cli: Cli, tmp_path: Path) -> None:
    lines = cli("doctor", cwd=tmp_path).out.splitlines()
    (caption,) = [line for line in lines if " stage caption " in line]
    assert caption.startswith("--  ")
    assert any(line.startswith("ok  stage exif ") for line in lines)
    assert any("marked --" in line for line in lines)
    found = {check["name"]: check for check in cli("doctor", "--json", cwd=tmp_path).json}
    assert (found["stage caption"]["absent"], found["stage exif"]["absent"]) == (True, False)


def test_no_case_is_told_from_a_folder_of_that_name(cli: Cli, tmp_path: Path) -> None:
    assert 'there is no case in the folder "case"; make one' in cli("status", cwd=tmp_path).err
