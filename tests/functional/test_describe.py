"""`caseframe describe`, as a user runs it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
from tests import makers
from tests.conftest import Cli
from tests.makers.tiny_blip import make_tiny_blip
from tests.support.cli import command, environment
from tests.support.vision import Colours, eventually, running

from caseframe.domain.errors import ModelUnavailable
from caseframe.vision.missing import missing_extra
from caseframe.vision.service import Models
from caseframe.vision.store import ModelStore


@pytest.fixture
def none(tmp_path: Path) -> dict[str, str]:
    """Settings without any captioning model."""
    return {"CASEFRAME_MODELS_DIR": str(tmp_path / "no-models")}


@pytest.fixture(scope="session")
def blip(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Settings with a tiny BLIP installed."""
    if (reason := missing_extra()) is not None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    root = tmp_path_factory.mktemp("blip")
    ModelStore(root / "models").import_folder(make_tiny_blip(root / "made"), "tiny")
    return {"CASEFRAME_MODELS_DIR": str(root / "models")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures, a folder with a third, a text, and a picture that is cut off."""
    made = tmp_path / "pictures"
    (made / "below").mkdir(parents=True)
    (made / "b.jpg").write_bytes(makers.photo(seed=1))
    (made / "a.png").write_bytes(makers.photo(seed=2, format="PNG"))
    (made / "below" / "c.jpg").write_bytes(makers.photo(seed=3))
    (made / "notes.txt").write_text("no picture")
    (made / "z.jpg").write_bytes(makers.photo(seed=4)[:4000])
    return made


def test_a_folder_in_sorted_order_and_a_bad_file_gets_its_own_line(
    cli: Cli, folder: Path, none: dict[str, str]
) -> None:
    done = cli("describe", folder, **none)
    assert done.status == 1
    lines = done.out.splitlines()
    names = [line.partition(": ")[0] for line in lines]
    assert names == [str(folder / name) for name in ("a.png", "b.jpg", "below/c.jpg")]
    assert all(": [facts] " in line and line.endswith(".") for line in lines)
    assert re.fullmatch(
        rf"caseframe: {re.escape(str(folder / 'z.jpg'))}: .*corrupt.*\n", done.err
    ), done.err


def test_files_come_in_the_order_in_which_they_were_named(
    cli: Cli, folder: Path, none: dict[str, str]
) -> None:
    named = [folder / "b.jpg", folder / "a.png", folder / "b.jpg"]
    done = cli("describe", *named, **none)
    assert done.status == 0
    assert done.err == ""
    lines = done.out.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [str(path) for path in named]
    assert lines[0] == lines[2] != lines[1]


def test_json_has_one_object_a_line_errors_included(
    cli: Cli, folder: Path, none: dict[str, str]
) -> None:
    missing = folder / "missing.jpg"
    done = cli("describe", missing, folder, folder / "notes.txt", "--json", **none)
    assert done.status == 1
    found = done.lines
    assert {frozenset(line) for line in found} == {
        frozenset({"path", "description", "model", "made_by", "error"})
    }
    assert [Path(line["path"]).name for line in found] == [
        "missing.jpg", "a.png", "b.jpg", "c.jpg", "z.jpg", "notes.txt",
    ]  # fmt: skip
    assert [line["error"] is None for line in found] == [False, True, True, True, False, False]
    assert all((line["description"] is None) != (line["error"] is None) for line in found)
    assert {line["model"] for line in found} == {"FACTS"}
    assert set(found[0]["made_by"]) == {"model", "revision", "digest"}
    assert "No such file" in found[0]["error"]
    assert "not a picture" in found[5]["error"]


def test_standard_input_is_one_picture(folder: Path, cache: Path, none: dict[str, str]) -> None:
    for data, status, said in (
        (makers.photo(seed=1), 0, "-: [facts] "),
        (b"", 1, "caseframe: -: the picture is empty"),
        (b"words", 1, "caseframe: -: not a picture"),
    ):
        done = subprocess.run(
            command("describe", "-"), input=data, capture_output=True, check=False,
            env=environment(cache, **none),
        )  # fmt: skip
        assert done.returncode == status
        assert (done.stdout + done.stderr).decode().startswith(said)


def test_names_of_any_bytes_stay_on_one_line_and_are_exact_in_json(
    cli: Cli, tmp_path: Path, none: dict[str, str]
) -> None:
    folder = os.fsencode(tmp_path / "odd")
    os.mkdir(folder)
    odd = [b"new\nline.jpg", b"not-utf8-\xff.jpg", b"-dash.jpg", "right\u202eleft.jpg".encode()]
    for name in odd:
        with open(folder + b"/" + name, "wb") as file:
            file.write(makers.photo(64, 48))
    done = cli("describe", folder, **none)
    assert done.status == 0, done.err
    assert len(done.out.splitlines()) == len(odd)
    assert "new\\nline.jpg" in done.out
    assert "\u202e" not in done.out
    found = cli("describe", folder, "--json", **none).lines
    assert [line["path"].rpartition("/")[2] for line in found] == [
        name.decode("utf-8", "replace") for name in sorted(odd)
    ]
    exact = [line["path_bytes"] for line in found if "path_bytes" in line]
    assert len(exact) == 1


def test_a_folder_without_pictures_says_so(cli: Cli, tmp_path: Path, none: dict[str, str]) -> None:
    empty, texts = tmp_path / "empty", tmp_path / "texts"
    empty.mkdir()
    texts.mkdir()
    (texts / "a.txt").write_text("a")
    (texts / "zero").write_bytes(b"")
    done = cli("describe", empty, texts, **none)
    assert (done.status, done.out) == (1, "")
    assert done.err.splitlines() == [
        f"caseframe: {folder}: no pictures in this folder" for folder in (empty, texts)
    ]


def test_an_empty_file_that_is_named_like_a_picture_gets_its_line(
    cli: Cli, folder: Path, none: dict[str, str]
) -> None:
    (folder / "z.jpg").unlink()
    (folder / "empty.JPG").write_bytes(b"")
    done = cli("describe", folder, **none)
    assert (done.status, len(done.out.splitlines())) == (1, 3)
    assert done.err == f"caseframe: {folder / 'empty.JPG'}: the picture is empty: 0 bytes\n"


def test_a_file_over_the_limit_is_not_even_read(
    cli: Cli, folder: Path, none: dict[str, str]
) -> None:
    big = folder / "big.jpg"
    makers.write_sparse(big, 5 << 30)
    done = cli("describe", big, folder / "b.jpg", **none)
    assert done.status == 1
    assert "over the limit of 64000000 bytes (vision_image_bytes)" in done.err
    assert "b.jpg: [facts]" in done.out


@pytest.mark.parametrize("name", ["BLIP", "BLIP_QUANTIZED"])
def test_asking_for_a_model_that_is_not_installed_names_the_command(
    cli: Cli, folder: Path, none: dict[str, str], name: str
) -> None:
    done = cli("describe", folder, "--model", name, **none)
    assert done.status == 1
    assert done.out == ""
    assert len(done.err.splitlines()) == 1
    assert "run: " in done.err


def test_wrong_words_are_wrong_usage(cli: Cli, folder: Path, none: dict[str, str]) -> None:
    done = cli("describe", folder, "--model", "GPT", **none)
    assert done.status == 2
    assert done.err == (
        "caseframe: no model is called GPT; there are: BLIP, BLIP_QUANTIZED, FACTS\n"
    )
    assert cli("describe", **none).status == 2


def test_an_installed_model_is_the_default_and_facts_can_be_asked_for(
    cli: Cli, folder: Path, blip: dict[str, str]
) -> None:
    by_default = cli("describe", folder / "a.png", "--json", **blip).lines[0]
    assert by_default["model"] == "BLIP"
    assert by_default["made_by"]["model"] == "tiny"
    eight = cli("describe", folder / "a.png", "--json", "--model", "BLIP_QUANTIZED", **blip)
    assert eight.lines[0]["made_by"]["model"] == "tiny"
    assert eight.lines[0]["made_by"]["digest"] != by_default["made_by"]["digest"]
    facts = cli("describe", folder / "a.png", "--model", "FACTS", **blip)
    assert ": [facts] " in facts.out
    few = cli("describe", folder / "a.png", **blip, CASEFRAME_CAPTION_TOKENS="3")
    name, _, short = few.out.rstrip().partition(": ")
    assert name == str(folder / "a.png")
    assert 0 < len(short) < len(by_default["description"])
    assert by_default["description"].startswith(short[:3])


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    models: Models = {"BLIP": Colours("BLIP"), "FACTS": ModelUnavailable("not here")}
    with running(models) as served:
        yield served.address


def test_a_service_at_an_address_is_used_where_one_is_set(
    cli: Cli, folder: Path, service: str
) -> None:
    done = cli("describe", folder / "b.jpg", "--json", CASEFRAME_VISION_ADDRESS=service)
    assert done.status == 0, done.err
    assert done.lines[0]["description"].startswith("BLIP sees")
    assert done.lines[0]["made_by"]["model"] == "colours-blip"
    gone = cli("describe", folder, "--model", "FACTS", CASEFRAME_VISION_ADDRESS=service)
    assert (gone.status, gone.err) == (1, "caseframe: not here\n")


def test_a_service_that_is_away_is_one_error_line(cli: Cli, folder: Path) -> None:
    done = cli("describe", folder, CASEFRAME_VISION_ADDRESS="127.0.0.1:1")
    assert done.status == 1
    assert done.err.startswith("caseframe: the vision service at 127.0.0.1:1 does not answer")
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_is_clean_and_leaves_no_process(
    cache: Path, tmp_path: Path, none: dict[str, str], number: signal.Signals
) -> None:
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(makers.photo(640, 480))
    with subprocess.Popen(
        command("describe", *[picture] * 3000),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment(cache, **none),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert "[facts]" in process.stdout.readline()
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err == "caseframe: stopped; what stands above was described\n"
    assert len(out.splitlines()) < 2999
    assert all(eventually(partial(_gone, child)) for child in children)


def _gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_json_lines_are_valid_for_every_hostile_text(
    cli: Cli, tmp_path: Path, none: dict[str, str]
) -> None:
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    for name, data in makers.markup_pictures().items():
        (hostile / name).write_bytes(data)
    done = cli("describe", hostile, "--json", **none)
    for line in done.out.splitlines():
        assert isinstance(json.loads(line)["path"], str)
    assert cli("describe", hostile, **none).out.count("\n") == len(done.lines)
