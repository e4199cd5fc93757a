"""Fetching models from a hub on this machine, with a manifest of our own."""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from pathlib import Path

import httpx
import pytest
from tests.support.hub import REVISION, Hub, hub, nothing_installed, options, store_of

from caseframe.domain.errors import CaseframeError
from caseframe.vision.download import DownloadOptions, client_for
from caseframe.vision.installed import RECORD
from caseframe.vision.manifest import PICKLE, WEIGHTS


def test_a_pulled_model_is_whole_and_says_where_it_came_from(tiny_hub: Hub, tmp_path: Path) -> None:
    store = store_of(tiny_hub, tmp_path)
    seen: dict[str, tuple[int, int | None]] = {}
    model = store.pull(
        "blip-tiny", options(tiny_hub), lambda name, done, total: seen.update({name: (done, total)})
    )
    assert {
        path.name: path.read_bytes() for path in model.folder.iterdir() if path.name != RECORD
    } == tiny_hub.files
    assert (model.source, model.revision, model.licence) == ("example/tiny", REVISION, "MIT")
    assert store.find("blip-tiny") == store.verify("blip-tiny") == model
    assert seen == {name: (len(data), len(data)) for name, data in tiny_hub.files.items()}
    assert all(f"/{REVISION}/" in path or path.startswith("/store/") for path, _ in tiny_hub.asked)


def test_an_installed_model_is_not_fetched_again(tiny_hub: Hub, tmp_path: Path) -> None:
    store = store_of(tiny_hub, tmp_path)
    first = store.pull("blip-tiny", options(tiny_hub))
    tiny_hub.asked.clear()
    assert store.pull("blip-tiny", options(tiny_hub)) == first
    assert tiny_hub.asked == []


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_download_goes_on_where_it_stopped(
    tiny_hub: Hub, tmp_path: Path, ranges: bool
) -> None:
    store = store_of(tiny_hub, tmp_path)
    tiny_hub.ranges = ranges
    tiny_hub.cut[WEIGHTS] = 100_000
    with pytest.raises(CaseframeError, match=r"connection failed after 0\.1 MB.*goes on"):
        store.pull("blip-tiny", options(tiny_hub))
    assert nothing_installed(store)
    tiny_hub.cut.clear()
    tiny_hub.asked.clear()
    assert store.pull("blip-tiny", options(tiny_hub)).size > 100_000
    assert (f"/store/{WEIGHTS}", "bytes=100000-") in tiny_hub.asked
    assert not any("/config.json" in path for path, _ in tiny_hub.asked)


def test_a_connection_that_breaks_again_and_again_is_tried_again(
    tiny_hub: Hub, tmp_path: Path
) -> None:
    tiny_hub.cut[WEIGHTS] = 100_000
    model = store_of(tiny_hub, tmp_path).pull("blip-tiny", options(tiny_hub, tries=5))
    assert (model.folder / WEIGHTS).read_bytes() == tiny_hub.files[WEIGHTS]
    assert [asked for path, asked in tiny_hub.asked if path.endswith(WEIGHTS)] == [
        None, "bytes=100000-", "bytes=200000-",
    ]  # fmt: skip


def test_a_server_that_falls_silent_is_given_up(tiny_hub: Hub, tmp_path: Path) -> None:
    tiny_hub.silent = threading.Event()
    tiny_hub.cut[WEIGHTS] = 1000
    store = store_of(tiny_hub, tmp_path)
    with pytest.raises(CaseframeError, match="connection failed"):
        store.pull("blip-tiny", options(tiny_hub, silent_seconds=0.2))
    assert nothing_installed(store)


@pytest.mark.parametrize("digests", [True, False])
@pytest.mark.parametrize("where", ["all", "flipped", "longer"])
def test_wrong_content_is_never_installed(
    tiny_hub: Hub, tmp_path: Path, where: str, digests: bool
) -> None:
    right = tiny_hub.files[WEIGHTS]
    store = store_of(tiny_hub, tmp_path, digests=digests)
    with hub() as wrong:
        wrong.files |= tiny_hub.files
        wrong.etags = "git" if digests else "hub"
        bad = {
            "all": b"<html>sign in</html>".ljust(len(right)),
            "flipped": right[:-1] + bytes([right[-1] ^ 1]),
            "longer": right + b"x",
        }[where]
        wrong.files[WEIGHTS] = bad
        if not digests:  # the hub states one digest and its store sends other bytes
            wrong.cut = {}
            wrong.etags = "lie"
        with pytest.raises(CaseframeError, match=r"wrong checksum|server has a file of|no digest"):
            store.pull("blip-tiny", options(wrong))
    assert nothing_installed(store)
    assert store.pull("blip-tiny", options(tiny_hub)).size  # and the next try is not spoiled by it


@pytest.mark.parametrize("etags", ["hub", "git"])
def test_without_a_pinned_digest_the_stated_one_is_held(
    tiny_hub: Hub, tmp_path: Path, etags: str
) -> None:
    tiny_hub.etags = etags
    store = store_of(tiny_hub, tmp_path, digests=False)
    model = store.pull("blip-tiny", options(tiny_hub))
    assert {f.name: f.sha256 for f in model.files} == {
        name: hashlib.sha256(data).hexdigest() for name, data in tiny_hub.files.items()
    }


@pytest.mark.parametrize("status", [401, 403, 404, 410, 500, 503])
def test_an_answer_that_is_no_file_says_so(tiny_hub: Hub, tmp_path: Path, status: int) -> None:
    tiny_hub.status[WEIGHTS] = status
    store = store_of(tiny_hub, tmp_path)
    with pytest.raises(CaseframeError, match=f"{WEIGHTS}: .* answers {status}"):
        store.pull("blip-tiny", options(tiny_hub))
    assert nothing_installed(store)


def test_a_hub_that_is_away_says_so(tmp_path: Path, tiny_hub: Hub) -> None:
    with hub() as gone:
        pass
    store = store_of(tiny_hub, tmp_path)
    with pytest.raises(CaseframeError, match=r"connection failed after 0\.0 MB"):
        store.pull("blip-tiny", options(gone))
    assert nothing_installed(store)


def test_a_part_longer_than_the_file_starts_again(tiny_hub: Hub, tmp_path: Path) -> None:
    store = store_of(tiny_hub, tmp_path)
    staging = tmp_path / "models" / ".incoming" / f"blip-tiny@{REVISION[:12]}"
    staging.mkdir(parents=True)
    (staging / f"{WEIGHTS}.part").write_bytes(b"x" * (len(tiny_hub.files[WEIGHTS]) + 5))
    (staging / "config.json.part").write_bytes(b"y" * 7)  # and one with other bytes
    with pytest.raises(CaseframeError, match=r"config\.json: wrong checksum"):
        store.pull("blip-tiny", options(tiny_hub))
    assert store.pull("blip-tiny", options(tiny_hub)).size


def test_a_file_that_was_changed_while_waiting_is_fetched_again(
    tiny_hub: Hub, tmp_path: Path
) -> None:
    store = store_of(tiny_hub, tmp_path)
    tiny_hub.status[WEIGHTS] = 404
    with pytest.raises(CaseframeError):
        store.pull("blip-tiny", options(tiny_hub))
    tiny_hub.status.clear()
    staging = tmp_path / "models" / ".incoming" / f"blip-tiny@{REVISION[:12]}"
    (staging / "config.json").write_text("{}")
    assert store.pull("blip-tiny", options(tiny_hub)).size
    assert store.verify("blip-tiny")


def test_the_pinned_pickle_is_converted_once(tiny: Path, tmp_path: Path) -> None:
    import torch  # noqa: PLC0415 - of the extra
    from safetensors.torch import load_file  # noqa: PLC0415

    weights = load_file(tiny / WEIGHTS)
    words = weights["text_decoder.bert.embeddings.word_embeddings.weight"]
    torch.save({**weights, "text_decoder.cls.predictions.decoder.weight": words,
                "text_decoder.bert.embeddings.position_ids": torch.arange(64)},
               tmp_path / PICKLE)  # fmt: skip
    with hub() as running:
        running.serve(tiny)
        del running.files[WEIGHTS]
        running.files[PICKLE] = (tmp_path / PICKLE).read_bytes()
        store = store_of(running, tmp_path)
        model = store.pull("blip-tiny", options(running))
    assert model.converted_from == hashlib.sha256((tmp_path / PICKLE).read_bytes()).hexdigest()
    assert sorted(path.suffix for path in model.folder.iterdir() if path.suffix != ".json") == [
        ".safetensors", ".txt",
    ]  # fmt: skip
    converted = load_file(model.folder / WEIGHTS)
    assert converted.keys() == weights.keys()
    assert all(torch.equal(converted[name], weights[name]) for name in weights)
    assert store.verify("blip-tiny") == model


class Executes:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def test_a_pickle_that_executes_is_not_executed_even_if_it_were_pinned(
    tiny: Path, tmp_path: Path
) -> None:
    import torch  # noqa: PLC0415 - of the extra

    torch.save({"x": Executes(tmp_path / "executed")}, tmp_path / PICKLE)
    with hub() as running:
        running.serve(tiny)
        del running.files[WEIGHTS]
        running.files[PICKLE] = (tmp_path / PICKLE).read_bytes()
        store = store_of(running, tmp_path)
        with pytest.raises(CaseframeError, match="cannot be converted"):
            store.pull("blip-tiny", options(running))
    assert not (tmp_path / "executed").exists()
    assert nothing_installed(store)


def test_two_processes_do_not_install_the_same_model(tiny_hub: Hub, tmp_path: Path) -> None:
    store = store_of(tiny_hub, tmp_path)
    incoming = tmp_path / "models" / ".incoming"
    incoming.mkdir(parents=True)
    with (incoming / "blip-tiny.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(CaseframeError, match="another process is installing"):
            store.pull("blip-tiny", options(tiny_hub))
    assert store.pull("blip-tiny", options(tiny_hub)).size


def test_redirections_from_https_to_http_are_refused() -> None:
    with client_for(DownloadOptions(url="https://example.org")) as client:
        hook = client.event_hooks["request"][0]
        hook(httpx.Request("GET", "https://store.example.org/x"))
        with pytest.raises(CaseframeError, match="redirects to http"):
            hook(httpx.Request("GET", "http://store.example.org/x"))
