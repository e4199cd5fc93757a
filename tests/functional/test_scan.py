"""`caseframe scan` and what follows it, as a user runs them."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
from pathlib import Path
from typing import Any

import pytest
from tests import makers
from tests.conftest import Cli
from tests.support.forging import unseen
from tests.support.scans import FAST, exported, rows, some_pictures


@pytest.fixture(scope="module")
def demo(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The demo collection and a case with all stages over it, made once for this module."""
    from tests.support.cli import run  # noqa: PLC0415

    base = tmp_path_factory.mktemp("demo")
    assert run("demo", base / "pictures", cache=cache).status == 0
    done = run("scan", base / "pictures", "--case", base / "case", cache=cache)
    assert done.status == 0, done.err
    return base / "pictures", base / "case"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return some_pictures(tmp_path / "pictures")


KEYS = {
    "path", "state", "reason", "size", "modified", "sha256", "sha1", "md5", "mime", "format",
    "width", "height", "orientation", "colorspace", "bit_depth", "resolution_dpi", "pdq",
    "captured_at", "camera", "place", "metadata", "faces", "stages", "results",
    "problems",
}  # fmt: skip


def test_the_demo_case_line_by_line(cli: Cli, demo: tuple[Path, Path]) -> None:
    pictures, case = demo
    lines = exported(cli, case)
    on_disk = [Path(base) / name for base, _, names in os.walk(pictures) for name in names]
    assert len(lines) == len(on_disk)
    for line in lines.values():
        assert line.keys() >= KEYS
        path = os.fsencode(line["path"])
        if "path_bytes" in line:
            import base64  # noqa: PLC0415

            path = base64.b64decode(line["path_bytes"])
        data = Path(os.fsdecode(os.path.join(os.fsencode(pictures), path))).read_bytes()
        assert line["sha256"] == hashlib.sha256(data).hexdigest()
        assert line["sha1"] == hashlib.sha1(data).hexdigest()
        assert line["md5"] == hashlib.md5(data).hexdigest()
        assert line["size"] == len(data)
        assert (line["reason"] is None) == (line["state"] == "picture")
        if line["state"] in {"picture", "corrupt", "over-limit"}:
            assert set(line["stages"]) == {"exif", "place", "similar", "faces", "facts", "caption"}
            done = line["stages"]["facts"] == "done"
            assert set(line["results"]) == ({"facts"} if done else set())
    assert {line["state"] for line in lines.values()} == {
        "picture", "not-a-picture", "corrupt", "over-limit",
    }  # fmt: skip
    assert sum(1 for line in lines.values() if "path_bytes" in line) == 1


def test_a_holiday_photograph_reads_well(cli: Cli, demo: tuple[Path, Path]) -> None:
    _, case = demo
    shown = cli("show", "Holidays/2016 Chamonix/DSC_0412.JPG", "--case", case)
    assert shown.status == 0
    for words in ("near Chamonix-Mont-Blanc, France", "NIKON D750", "2016", "sha256", "same bytes"):
        assert words in shown.out
    (facts,) = re.findall(r"facts +(.*?)sha256", shown.out, re.DOTALL)
    said = " ".join(facts.split())
    assert said.startswith("A photograph, ")
    assert said.endswith("(by FACTS, from measured facts)")
    assert "taken on 14 July 2016 at 10:12 with a Nikon D750 near Chamonix-Mont-Blanc" in said
    (line,) = cli("show", "Holidays/2016 Chamonix/DSC_0412.JPG", "--case", case, "--json").lines
    assert line["camera"]["make"].startswith("NIKON")
    assert line["place"]["country"] == "France"
    by_digest = cli("show", line["sha256"], "--case", case, "--json").lines
    assert {found["path"] for found in by_digest} >= {line["path"]}
    assert len(by_digest) == 2


def test_real_faces_are_found(cli: Cli, demo: tuple[Path, Path]) -> None:
    lines = exported(cli, demo[1]).values()
    with_faces = [line for line in lines if line["faces"]]
    assert with_faces
    for line in with_faces:
        for face in line["faces"]:
            assert 0 <= face["x"] <= line["width"] - face["width"]
            assert 0 <= face["y"] <= line["height"] - face["height"]
            assert len(face["descriptor"]) == 128


def test_duplicates_of_the_demo(cli: Cli, demo: tuple[Path, Path]) -> None:
    found = cli("duplicates", "--case", demo[1], "--json").lines
    exact = [group["paths"] for group in found if group["kind"] == "exact"]
    near = [group["paths"] for group in found if group["kind"] == "near"]
    boat = "Holidays/2016 Chamonix/DSC_0431.JPG"
    assert ["Backup of old phone/copy of boat.jpg", boat] in exact
    (alike,) = [paths for paths in near if boat in paths]
    assert "Backup of old phone/boat small.jpg" in alike
    assert cli("duplicates", "--distance", "300", "--case", demo[1]).status == 2


def test_csv_opens_harmlessly(cli: Cli, tmp_path: Path) -> None:
    """S8: values that a spreadsheet would run, and line breaks, in names and in EXIF."""
    folder = tmp_path / "p"
    folder.mkdir()
    for name, data in makers.formula_pictures().items():
        (folder / name).write_bytes(data)
    (folder / "=cmd|' !A0.jpg").write_bytes(makers.photo(32, 32, 1))
    (folder / "two\nlines.jpg").write_bytes(makers.photo(32, 32, 2))
    assert cli("scan", folder, "--case", tmp_path / "c", "--stages", "exif").status == 0
    text = cli("export", "--format", "csv", "--case", tmp_path / "c").out
    table = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(table) == len(list(folder.iterdir()))
    assert "\n" not in text.replace("\r\n", "")
    for row in table:
        for value in row.values():
            assert not value.startswith(("=", "+", "@", "\t", "\r", "|"))
            assert not (value.startswith("-") and not value[1:2].isdigit())
    assert any(row["path"] == "'=cmd|' !A0.jpg" for row in table)
    assert any(row["path"] == "two\\nlines.jpg" for row in table)


def test_scanning_again_opens_nothing_and_changes_nothing(
    cli: Cli, pictures: Path, tmp_path: Path
) -> None:
    case = tmp_path / "case"
    assert cli("scan", pictures, "--case", case, "--stages", FAST).status == 0
    before = rows(cli, case)
    # Other bytes behind the same size and time: only a scan that opens the file could notice.
    victim = pictures / "sub" / "3.jpg"
    with unseen(victim) as status:
        victim.write_bytes(b"\0" * status.st_size)
    assert cli("scan", pictures, "--case", case, "--stages", FAST).status == 0
    assert rows(cli, case) == before
    again = cli("scan", pictures, "--case", case, "--stages", FAST, "--rehash", "--json")
    assert again.json["states"]["not-a-picture"] == 2
    line = exported(cli, case)["sub/3.jpg"]
    said = [problem["reason"] for problem in line["problems"]]
    assert any("content changed since the last scan" in reason for reason in said)
    assert "the extension .jpg is wrong: the content is of no known type" in said


def test_rehash_judges_every_picture_anew(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    """Limits of another day, or of a busy machine, do not stay with the evidence for good."""
    case = tmp_path / "case"
    whole = ("scan", pictures, "--case", tmp_path / "whole", "--stages", FAST)
    again = ("scan", pictures, "--case", case, "--stages", FAST)
    small = {"CASEFRAME_MAX_PIXELS": "1000"}
    assert cli(*whole).status == 0
    assert cli(*again, "--json", **small).json["states"]["over-limit"] == 12
    assert cli(*again, "--json").json["states"]["over-limit"] == 12
    assert cli(*again, "--rehash").status == 0
    assert rows(cli, case) == rows(cli, tmp_path / "whole")
    done = cli(*again, "--rehash", "--json", **small).json
    assert done["states"]["over-limit"] == 12
    line = exported(cli, case)["sub/3.jpg"]
    assert "million" in line["reason"]
    assert line["stages"] == {"exif": "done", "place": "done", "similar": "done"}
    assert line["pdq"]


def test_another_job_has_limits_of_its_own(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    """The verdict belongs to the content, so the first job's rows say the same afterwards."""
    case = tmp_path / "case"
    small = {"CASEFRAME_MAX_PIXELS": "1000"}
    cli("scan", pictures, "--case", case, "--stages", FAST, **small)
    done = cli("scan", pictures / "sub", "--case", case, "--stages", FAST, "--json")
    assert done.json["states"]["picture"] == 12
    unchanged = cli("scan", pictures, "--case", case, "--stages", FAST, "--json")
    assert unchanged.json["states"]["picture"] == 12


def test_new_changed_and_missing_files(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    case = tmp_path / "case"
    cli("scan", pictures, "--case", case, "--stages", FAST)
    (pictures / "new.jpg").write_bytes(makers.photo(50, 40, 99))
    (pictures / "sub" / "1.jpg").unlink()
    (pictures / "sub" / "2.jpg").write_bytes(makers.photo(50, 40, 98))
    done = cli("scan", pictures, "--case", case, "--stages", FAST, "--json")
    assert (done.json["files"], done.json["missing"]) == (14, 1)
    lines = exported(cli, case)
    assert lines["sub/1.jpg"]["missing"] is True
    assert "its SHA-256 was" in lines["sub/2.jpg"]["problems"][0]["reason"]
    assert lines["new.jpg"]["stages"] == {"exif": "done", "place": "done", "similar": "done"}


def test_verify_reports_what_changed(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    case = tmp_path / "case"
    cli("scan", pictures, "--case", case, "--stages", "exif")
    clean = cli("verify", "--case", case, "--strict", "--json")
    assert clean.status == 0
    assert clean.lines[-1] == {"counts": {"same": 13}}
    sub = pictures / "sub"
    with unseen(sub / "0.jpg") as status:
        (sub / "0.jpg").write_bytes(b"x" * status.st_size)
    (sub / "1.jpg").unlink()
    os.utime(sub / "2.jpg", ns=(1, 1))
    (sub / "new.jpg").write_bytes(b"new")
    before = rows(cli, case)
    done = cli("verify", "--case", case, "--json")
    assert done.status == 0
    verdicts = {line["path"]: line["verdict"] for line in done.lines[:-1]}
    assert verdicts == {
        "sub/0.jpg": "changed",
        "sub/1.jpg": "missing",
        "sub/2.jpg": "touched",
        "sub/new.jpg": "new",
    }
    assert done.lines[-1]["counts"] == {
        "same": 10, "changed": 1, "missing": 1, "touched": 1, "new": 1,
    }  # fmt: skip
    assert rows(cli, case) == before
    strict = cli("verify", "--case", case, "--strict")
    assert strict.status == 1
    assert "changed" in strict.out


def test_what_was_hashed_once_is_so_again_whatever_the_setting_says(
    cli: Cli, tmp_path: Path
) -> None:
    folder, case = tmp_path / "p", tmp_path / "case"
    folder.mkdir()
    movie = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(5000)
    (folder / "a.mp4").write_bytes(movie)
    scan = ("scan", folder, "--case", case, "--stages", "exif")
    assert cli(*scan).status == 0
    before = cli("export", "--case", case).out
    small = {"CASEFRAME_OTHER_HASH_BYTES": "1000", "CASEFRAME_MAX_FILE_BYTES": "3000"}
    assert cli("verify", "--case", case, "--strict", **small).status == 0
    assert cli(*scan, "--rehash", **small).status == 0
    assert cli("export", "--case", case).out == before
    (folder / "a.mp4").write_bytes(movie + b"x")
    done = cli("verify", "--case", case, **small)
    assert "SHA-256 was" in done.out
    assert "not computed" not in done.out


def test_verify_looks_at_what_was_not_hashed(cli: Cli, tmp_path: Path) -> None:
    """Links and pipes, and files too large to hash, by kind, size and time."""
    folder, case = tmp_path / "p", tmp_path / "case"
    folder.mkdir()
    movie = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(5000)
    for name in ("kept.mp4", "piped.mp4", "swapped.mp4"):
        (folder / name).write_bytes(movie)
    for name in ("kept", "led", "filled"):
        (folder / name).symlink_to("target-1")
    for file in folder.iterdir():
        os.utime(file, ns=(1, 1), follow_symlinks=False)
    small = {"CASEFRAME_OTHER_HASH_BYTES": "1000"}
    assert cli("scan", folder, "--case", case, "--stages", "exif", **small).status == 0
    untouched = cli("verify", "--case", case, "--strict", "--json", **small)
    assert untouched.status == 0, untouched.err
    assert untouched.lines[-1] == {"counts": {"same": 3, "not hashed": 3}}
    for name in ("piped.mp4", "swapped.mp4", "led", "filled"):
        (folder / name).unlink()
    os.mkfifo(folder / "piped.mp4")
    (folder / "swapped.mp4").write_bytes(b"y" * len(movie))
    (folder / "led").symlink_to("target-2")
    (folder / "filled").write_text("target-1")
    for name in ("piped.mp4", "swapped.mp4", "filled"):
        os.utime(folder / name, ns=(1, 1))
    done = cli("verify", "--case", case, "--strict", "--json", **small)
    assert done.status == 1
    assert {line["path"]: line["verdict"] for line in done.lines[:-1]} == {
        "kept.mp4": "not hashed",
        "piped.mp4": "changed",
        "swapped.mp4": "changed",
        "led": "changed",
        "filled": "changed",
    }
    assert done.lines[-1]["counts"]["same"] == 1


def test_rerun_and_stages_added_later(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    case = tmp_path / "case"
    cli("scan", pictures, "--case", case, "--stages", "exif")
    added = cli("scan", pictures, "--case", case, "--stages", "place,similar", "--json")
    # `place` needs `exif`; what it found earlier is used, also where it found nothing.
    assert added.json["stages"]["similar"]["found"] == 12
    assert added.json["stages"]["place"] == {
        "found": 0, "none_found": 12, "failed": 0, "unavailable": 0, "pending": 0,
    }  # fmt: skip
    again = cli("rerun", "--stage", "similar", "--where", "path=sub/1*", "--case", case)
    assert again.status == 0
    assert again.out.startswith("3 pictures")
    place = cli("rerun", "--stage", "place", "--case", case, "--json")
    assert place.json["stages"]["place"]["none_found"] == 12
    assert cli("rerun", "--stage", "similar", "--where", "size=1", "--case", case).status == 2
    assert cli("rerun", "--stage", "nonsense", "--case", case).status == 2


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda base: base / "missing", "no folder at"),
        (lambda base: base / "file.jpg", "is a file, not a folder"),
    ],
)
def test_a_source_that_cannot_be_used_is_one_line(
    cli: Cli, tmp_path: Path, make: Any, words: str
) -> None:
    (tmp_path / "file.jpg").write_bytes(b"x")
    done = cli("scan", make(tmp_path), "--case", tmp_path / "case")
    assert done.status == 1
    assert words in done.err
    assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "case").exists()


def test_the_case_never_lies_in_the_source(cli: Cli, pictures: Path) -> None:
    for case in (pictures / "case", pictures):
        done = cli("scan", pictures, "--case", case)
        assert done.status == 1
        assert "lies inside the source" in done.err
    assert sorted(p.name for p in pictures.iterdir()) == ["note.txt", "sub"]


def test_empty_folders_and_folders_without_pictures(cli: Cli, tmp_path: Path) -> None:
    """R16."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("a")
    (tmp_path / "texts" / "zero").write_bytes(b"")
    empty = cli("scan", tmp_path / "empty", "--case", tmp_path / "c1")
    assert empty.status == 0
    assert "holds no files" in empty.out
    texts = cli("scan", tmp_path / "texts", "--case", tmp_path / "c2", "--json").json
    assert (texts["files"], texts["pictures"]) == (2, 0)
    assert "No problems." in cli("problems", "--case", tmp_path / "c2").out


def test_commands_without_a_case_say_what_to_do(cli: Cli, tmp_path: Path) -> None:
    for name in ("status", "problems", "export", "duplicates", "verify"):
        done = cli(name, "--case", tmp_path / "nowhere")
        assert done.status == 1
        assert "caseframe scan" in done.err
    assert cli("show", "x", "--case", tmp_path / "nowhere").status == 1


def test_wrong_usage_is_status_2(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    for arguments in (
        ["scan"],
        ["scan", pictures, "--nonsense"],
        ["scan", pictures, "--stages", "nonsense", "--case", tmp_path / "c"],
        ["scan", pictures, "--stages", ",", "--case", tmp_path / "c"],
        ["scan", pictures, "--workers", "0"],
        ["nonsense"],
        ["export", "--format", "xml"],
    ):
        assert cli(*arguments).status == 2, arguments
    wrong = cli("scan", pictures, "--case", tmp_path / "c", CASEFRAME_ATTEMPTS="many")
    assert wrong.status == 2
    assert "attempts" in wrong.err


def test_doctor_stages_and_version(cli: Cli, tmp_path: Path) -> None:
    doctor = cli("doctor", "--case", tmp_path / "none", "--json")
    assert doctor.status == 0
    found = {check["name"]: check for check in doctor.json}
    assert found["stage faces"]["found"] == "works"
    assert not any(check["bad"] for check in doctor.json)
    stages = cli("stages", "--json").json
    names = ["exif", "place", "similar", "faces", "facts", "caption"]
    assert [row["name"] for row in stages["stages"]] == names
    assert cli("--version").out.startswith("caseframe ")
