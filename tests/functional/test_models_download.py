"""The setting models_download: who downloads, and what happens where the hub is out of reach."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests import makers
from tests.conftest import Cli
from tests.support.cli import command, ending, environment
from tests.support.hub import Hub
from tests.support.served import served

Given = dict[str, str]


@pytest.fixture
def nowhere() -> Iterator[str]:
    """The address of a hub that nobody answers at."""
    with socket.socket() as taken:  # bound, and never listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    file = tmp_path / "picture.jpg"
    file.write_bytes(makers.photo(64, 48, 1))
    return file


@pytest.fixture
def given(tmp_path: Path) -> Callable[..., Given]:
    """Settings that allow downloads from a hub into an empty folder."""
    return lambda url, **more: {
        "CASEFRAME_MODELS_DIR": str(tmp_path / "models"), "CASEFRAME_MODELS_URL": url,
        "CASEFRAME_MODELS_DOWNLOAD": "true", "CASEFRAME_BLIP_MODEL": "blip-large", **more,
    }  # fmt: skip


def test_describe_downloads_only_where_it_may(
    cli: Cli, tiny_hub: Hub, picture: Path, given: Callable[..., Given]
) -> None:
    done = cli("describe", picture, **given(tiny_hub.url, CASEFRAME_MODELS_DOWNLOAD="false"))
    assert (done.status, tiny_hub.asked) == (0, [])
    assert "[facts]" in done.out
    done = cli("describe", picture, **given(tiny_hub.url))
    assert done.status == 0, done.err
    assert "[facts]" not in done.out
    assert f"downloading blip-large from {tiny_hub.url}" in done.err
    count = len(tiny_hub.asked)
    assert count > 0
    assert cli("describe", picture, **given(tiny_hub.url)).status == 0
    assert len(tiny_hub.asked) == count


def test_describe_goes_on_with_facts_where_no_model_was_named(
    cli: Cli, nowhere: str, picture: Path, given: Callable[..., Given]
) -> None:
    done = cli("describe", picture, **given(nowhere))
    assert done.status == 0, done.err
    assert "[facts]" in done.out
    (warning,) = [line for line in done.err.splitlines() if "FACTS" in line]
    assert warning.startswith("caseframe: ")
    assert nowhere in done.err
    assert "Traceback" not in done.err
    named = cli("describe", picture, "--model", "BLIP", **given(nowhere))
    assert (named.status, named.out) == (1, "")


def test_facts_by_name_asks_no_hub(
    cli: Cli, tiny_hub: Hub, picture: Path, given: Callable[..., Given]
) -> None:
    assert cli("describe", picture, "--model", "FACTS", **given(tiny_hub.url)).status == 0
    assert tiny_hub.asked == []


def test_serve_downloads_and_uses_the_model_at_once(
    tiny_hub: Hub, tmp_path: Path, pictures: Path, cache: Path, given: Callable[..., Given]
) -> None:
    chosen = given(tiny_hub.url, CASEFRAME_DESCRIBE_WITH="auto")
    with served(tmp_path / "case", pictures, cache, **chosen) as server:
        assert tiny_hub.asked
        assert httpx.get(f"{server.url}/api/v1/models").json()["default"] == "BLIP"


def test_serve_starts_where_the_hub_is_out_of_reach(
    nowhere: str, tmp_path: Path, pictures: Path, cache: Path, given: Callable[..., Given]
) -> None:
    chosen = given(nowhere, CASEFRAME_DESCRIBE_WITH="auto")
    with (
        (tmp_path / "log").open("w") as log,
        served(tmp_path / "case", pictures, cache, stderr=log, **chosen) as server,
    ):
        assert httpx.get(f"{server.url}/api/v1/models").json()["default"] == "FACTS"
    assert "with FACTS" in (tmp_path / "log").read_text()


@contextmanager
def _listening(cache: Path, *words: str, **settings: str) -> Iterator[str]:
    """What a vision service says when it is up."""
    process = subprocess.Popen(
        command(*words, "--address", "127.0.0.1:0"), env=environment(cache, **settings),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    with ending(process):
        assert process.stdout is not None
        yield next((line for line in process.stdout if "listening" in line), "it ended")


@pytest.mark.parametrize("words", [("serve-vision",), ("service", "vision")])
def test_vision_services_do_the_same(
    tiny_hub: Hub, nowhere: str, cache: Path, given: Callable[..., Given], words: tuple[str, ...]
) -> None:
    door = {"CASEFRAME_HEALTH_ADDRESS": "127.0.0.1:0"}
    with _listening(cache, *words, **given(nowhere), **door) as said:
        assert said.rstrip().endswith("models: FACTS ()") or "models: FACTS" in said
    with _listening(cache, *words, **given(tiny_hub.url), **door) as said:
        assert "BLIP" in said
