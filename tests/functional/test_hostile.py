"""Hostile sources through the whole program: every file ends in one state with a reason."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests import makers
from tests.conftest import Cli
from tests.support import plugins

FAST = "exif,place,similar"
_IN_2300 = 10_413_792_000
STATES = {"picture", "not-a-picture", "unreadable", "corrupt", "over-limit"}


def scanned(cli: Cli, folder: Path, case: Path, stages: str = FAST, **env: str) -> list[Any]:
    done = cli("scan", folder, "--case", case, "--stages", stages, "--json", **env)
    assert done.status == 0, done.err
    lines = cli("export", "--case", case, **env).lines
    assert Counter(line["state"] for line in lines) == {
        state: count for state, count in done.json["states"].items() if count
    }
    return list(lines)


def test_hundreds_of_broken_files(cli: Cli, tmp_path: Path) -> None:
    """R1: found + failed + skipped = total, through every stage."""
    folder = tmp_path / "broken"
    folder.mkdir()
    for name, data in makers.broken_files(400, seed=11):
        (folder / name).write_bytes(data)
    done = cli("scan", folder, "--case", tmp_path / "case", "--json")
    assert done.status == 0
    lines = cli("export", "--case", tmp_path / "case").lines
    assert len(lines) == 400
    for line in lines:
        assert line["state"] in STATES
        assert (line["reason"] is None) == (line["state"] == "picture")
        assert line["sha256"]
        if line["state"] in {"picture", "corrupt", "over-limit"}:
            # No model is installed in these tests, so no picture has a caption.
            assert line["stages"]["caption"] == "unavailable"
            others = {state for name, state in line["stages"].items() if name != "caption"}
            assert others <= {"done", "failed"}
            assert set(line["stages"]) == {"exif", "place", "similar", "faces", "facts", "caption"}
    for counts in done.json["stages"].values():
        assert sum(counts.values()) == done.json["pictures"]
        assert counts["pending"] == 0


def test_metadata_that_loops_or_lies(cli: Cli, tmp_path: Path) -> None:
    """R3: each such picture is read, and says what is wrong with it.

    That each takes less than a second is measured in `tests/unit/metadata/test_rings.py`.
    """
    folder = tmp_path / "evil"
    folder.mkdir()
    for name, data in makers.evil_metadata().items():
        (folder / name).write_bytes(data)
    lines = scanned(cli, folder, tmp_path / "case")
    assert len(lines) == len(list(folder.iterdir()))
    for line in lines:
        if line["path"].endswith(".jpg"):
            assert line["state"] == "picture"
            assert line["stages"]["similar"] == "done"
            assert "exif" in {problem["stage"] for problem in line["problems"]}, line["path"]


def test_odd_names_keep_their_rows(cli: Cli, tmp_path: Path) -> None:
    """S15, R13: names are bytes; nothing in them is executed or mangled."""
    folder = tmp_path / "names"
    folder.mkdir()
    written = makers.write_odd_names(folder, makers.photo(32, 32, 1))
    lines = scanned(cli, folder, tmp_path / "case")
    found = {
        base64.b64decode(line["path_bytes"]) if "path_bytes" in line else line["path"].encode()
        for line in lines
    }
    assert found == set(written)
    assert {line["state"] for line in lines} == {"picture"}
    for name in list(written)[:6]:
        done = cli("show", os.path.join(os.fsencode(folder), name), "--case", tmp_path / "case")
        assert done.status == 0, (name, done.err)
    listed = cli("problems", "--case", tmp_path / "case")
    assert listed.status == 0


def test_links_lead_nowhere(cli: Cli, tmp_path: Path) -> None:
    """S1: a link to a file outside, and a folder that is one."""
    secret = makers.photo(64, 48, 77)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.jpg").write_bytes(secret)
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "link.jpg").symlink_to(outside / "secret.jpg")
    (folder / "dir").symlink_to(outside)
    lines = scanned(cli, folder, tmp_path / "case")
    assert {line["mime"] for line in lines} == {"inode/symlink"}
    assert all(line["sha256"] is None for line in lines)


def test_times_that_no_catalog_holds(cli: Cli, tmp_path: Path) -> None:
    """R1: a file from the year 2300, and a link, cost their neighbours nothing, at each scan."""
    folder, case = tmp_path / "source", tmp_path / "case"
    folder.mkdir()
    for number, name in enumerate(("late.jpg", "now.jpg")):
        (folder / name).write_bytes(makers.photo(64, 48, number))
    (folder / "link").symlink_to("now.jpg")
    for name in ("late.jpg", "link"):
        os.utime(folder / name, (_IN_2300, _IN_2300), follow_symlinks=False)
    if (folder / "late.jpg").stat().st_mtime != _IN_2300:
        pytest.skip("this file system keeps no such times")
    lines = {line["path"]: line for line in scanned(cli, folder, case)}
    assert {name: line["state"] for name, line in lines.items()} == {
        "late.jpg": "picture", "now.jpg": "picture", "link": "not-a-picture",
    }  # fmt: skip
    note = f"its modification time, {_IN_2300} s from 1970, is beyond what can be stored"
    assert note in [problem["reason"] for problem in lines["late.jpg"]["problems"]]
    assert note in lines["link"]["reason"]
    assert lines["late.jpg"]["modified"].startswith("2262-04-11")
    shown = cli("show", "late.jpg", "--case", case)
    assert shown.status == 0, shown.err
    assert note in " ".join(shown.out.split())  # it is wrapped
    again = {line["path"]: line for line in scanned(cli, folder, case)}
    assert again == lines
    assert cli("verify", "--case", case).status == 0


def test_nothing_is_executed_and_nothing_is_fetched(cli: Cli, tmp_path: Path) -> None:
    """S14, S16: delegates under picture names, and metadata full of addresses."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/x.png"
    calls: list[object] = []
    stop = threading.Event()

    def listen() -> None:
        while not stop.is_set():
            try:
                calls.append(listener.accept())
            except TimeoutError:
                continue

    thread = threading.Thread(target=listen)
    thread.start()
    folder = tmp_path / "active"
    folder.mkdir()
    marker = tmp_path / "executed"
    for name, data in makers.delegates(str(marker), url).items():
        (folder / name).write_bytes(data)
    (folder / "urls.jpg").write_bytes(makers.picture_with_urls(url))
    (folder / "links.svg").write_bytes(makers.svg_with_links(url))
    try:
        lines = scanned(cli, folder, tmp_path / "case")
        for form in ("jsonl", "csv"):
            assert cli("export", "--format", form, "--case", tmp_path / "case").status == 0
    finally:
        stop.set()
        thread.join()
        listener.close()
    assert calls == []
    assert not marker.exists()
    pictures = {line["path"] for line in lines if line["state"] == "picture"}
    assert pictures == {"urls.jpg"}


def test_no_library_reports_home() -> None:
    """S14: ONNX Runtime from 1.29 on sends telemetry unless its users forbid it."""
    code = (
        "from caseframe.pipeline import forkserver; forkserver.start()\n"
        "import os; assert os.environ['ORT_DISABLE_TELEMETRY'] == '1'\n"
        "import onnxruntime; print(onnxruntime.__version__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert tuple(map(int, done.stdout.split(".")[:2])) < (1, 29)


def test_text_that_databases_refuse(cli: Cli, tmp_path: Path) -> None:
    """R13: NUL, invalid UTF-8 and lone surrogates in EXIF are stored, and the rest is right."""
    folder = tmp_path / "text"
    folder.mkdir()
    for name, data in makers.undecodable_text().items():
        (folder / name).write_bytes(data)
    lines = scanned(cli, folder, tmp_path / "case")
    assert {line["stages"]["exif"] for line in lines} == {"done"}
    json.dumps(lines).encode("utf-8")


def test_log_lines_cannot_be_forged(cli: Cli, tmp_path: Path) -> None:
    """S8: a plug-in of a hostile name, and names with line breaks: one record an event."""
    packages = tmp_path / "packages"
    packages.mkdir()
    plugins.register(packages, "bad-stage", {"bad": "no_such_module:Stage"})
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "a\n2026-01-01 [error] forged.jpg").write_bytes(makers.log_injection())
    done = cli(
        "scan", folder, "--case", tmp_path / "case", "--stages", "exif",
        PYTHONPATH=str(packages), CASEFRAME_LOG_JSON="true", CASEFRAME_LOG_LEVEL="debug",
    )  # fmt: skip
    records = [json.loads(line) for line in done.err.splitlines() if line.startswith("{")]
    assert [record["stage"] for record in records] == ["bad"]
    assert "forged" not in "".join(
        line for line in done.err.splitlines() if not line.startswith("{")
    )
    problems = cli("problems", "--case", tmp_path / "case").out
    assert all(line[:1].isalpha() for line in problems.splitlines())


def test_a_plug_in_that_cannot_load_is_named_and_stops_nobody(cli: Cli, tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    plugins.install(packages, "good", "pass")
    plugins.register(packages, "bad", {"bad": "no_such_module:Stage", "exif": "stage_good:Stage"})
    plugins.register(packages, "worse", {"worse": "stage_good:Answer"})
    listed = cli("stages", PYTHONPATH=str(packages))
    assert listed.status == 0
    assert "cannot be loaded" in listed.out
    assert "no_such_module" in listed.out
    stages = cli("stages", "--json", PYTHONPATH=str(packages)).json
    assert "good" in [row["name"] for row in stages["stages"]]
    assert {row["name"] for row in stages["unloadable"]} == {"bad", "exif", "worse"}
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(makers.photo(64, 48, 1))
    (line,) = scanned(cli, folder, tmp_path / "case", "exif,good", PYTHONPATH=str(packages))
    assert line["stages"] == {"exif": "done", "good": "done"}


@pytest.mark.parametrize(
    ("body", "words"),
    [("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"), ("time.sleep(600)", "longer than 2 s")],
)
def test_a_stage_that_dies_on_one_picture(cli: Cli, tmp_path: Path, body: str, words: str) -> None:
    """R2: one picture's one stage fails with the reason; all else is as without it."""
    packages = tmp_path / "packages"
    plugins.install(packages, "deadly", f"if b'poison' in frame.data:\n    {body}")
    folder = tmp_path / "p"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number}.jpg").write_bytes(makers.photo(64, 48, number))
    (folder / "bad.jpg").write_bytes(makers.photo(64, 48, 99) + b"poison")
    lines = scanned(
        cli, folder, tmp_path / "case", "exif,deadly,similar",
        PYTHONPATH=str(packages), CASEFRAME_PICTURE_SECONDS="2",
    )  # fmt: skip
    states = Counter(state for line in lines for state in line["stages"].values())
    assert states == {"done": 62, "failed": 1}
    (bad,) = [line for line in lines if line["stages"]["deadly"] == "failed"]
    assert bad["path"] == "bad.jpg"
    assert bad["state"] == "picture"
    assert bad["problems"][0]["stage"] == "deadly"
    assert words in bad["problems"][0]["reason"]
    # When the plug-in has been mended, running it again is all that it takes.
    plugins.install(packages, "deadly", "pass")
    env = {"PYTHONPATH": str(packages)}
    cli("rerun", "--stage", "deadly", "--where", "task=failed", "--case", tmp_path / "case", **env)
    lines = cli("export", "--case", tmp_path / "case").lines
    assert {state for line in lines for state in line["stages"].values()} == {"done"}


def test_a_new_stage_version_makes_old_results_due(cli: Cli, tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    plugins.install(packages, "counted", "pass")
    env = {"PYTHONPATH": str(packages)}
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(makers.photo(64, 48, 1))
    scanned(cli, folder, tmp_path / "case", "counted", **env)
    module = packages / "stage_counted.py"
    module.write_text(module.read_text().replace('version = "1"', 'version = "2"'))
    first = cli("status", "--case", tmp_path / "case", "--json", **env).json
    assert first["stages"]["counted"]["found"] == 0
    scanned(cli, folder, tmp_path / "case", "counted", **env)
    again = cli("status", "--case", tmp_path / "case", "--json", **env).json
    assert again["stages"]["counted"]["found"] == 1


def test_a_stage_that_is_not_there_is_unavailable_and_later_done(cli: Cli, tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    plugins.install(packages, "absent", "pass")
    module = packages / "stage_absent.py"
    present = module.read_text()
    module.write_text(present.replace("return None", 'return "install the model"', 1))
    env = {"PYTHONPATH": str(packages)}
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(makers.photo(64, 48, 1))
    (line,) = scanned(cli, folder, tmp_path / "case", "exif,absent", **env)
    assert line["stages"] == {"exif": "done", "absent": "unavailable"}
    assert line["problems"] == []
    module.write_text(present)
    (line,) = scanned(cli, folder, tmp_path / "case", "exif,absent", **env)
    assert line["stages"] == {"exif": "done", "absent": "done"}


def test_the_example_stage_works_as_its_project_file_says(cli: Cli, tmp_path: Path) -> None:
    import tomllib  # noqa: PLC0415

    example = Path(__file__).parents[2] / "examples" / "stage-sharpness"
    project = tomllib.loads((example / "pyproject.toml").read_text())["project"]
    packages = tmp_path / "packages"
    packages.mkdir()
    plugins.register(packages, project["name"], project["entry-points"]["caseframe.stages"])
    env = {"PYTHONPATH": f"{packages}{os.pathsep}{example}"}
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "sharp.jpg").write_bytes(makers.photo(600, 400, 3))
    (folder / "tiny.jpg").write_bytes(makers.photo(8, 8, 3))
    lines = scanned(cli, folder, tmp_path / "case", "sharpness", **env)
    assert {line["stages"]["sharpness"] for line in lines} == {"done"}
    summary = cli("status", "--case", tmp_path / "case", "--json", **env).json
    assert summary["stages"]["sharpness"]["found"] == 1
    assert summary["stages"]["sharpness"]["none_found"] == 1
