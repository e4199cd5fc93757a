"""Fetching, keeping and removing models, with a hub on this machine and a manifest of our own."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from tests.support.hub import Hub, hub
from tests.support.models import tiny_blip

from caseframe.domain.errors import CaseframeError, ModelUnavailable, UsageError
from caseframe.vision.download import DownloadOptions, client_for
from caseframe.vision.installed import RECORD
from caseframe.vision.manifest import KNOWN, PICKLE, WEIGHTS, PinnedFile, PinnedModel
from caseframe.vision.store import ModelStore, missing

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_blip(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture
def served(tiny: Path) -> Iterator[Hub]:
    with hub() as running:
        running.serve(tiny)
        yield running


def pin(files: dict[str, bytes], *, digests: bool = True) -> dict[str, PinnedModel]:
    pinned = tuple(
        PinnedFile(name, len(data), hashlib.sha256(data).hexdigest())
        if digests
        else PinnedFile(name)
        for name, data in files.items()
    )
    model = PinnedModel("blip-tiny", "tiny", "example/tiny", REVISION, "MIT", pinned)
    return {"blip-tiny": model}


def options(served: Hub, **more: object) -> DownloadOptions:
    given = {"tries": 1, "pause_seconds": 0.0, **more}
    return DownloadOptions(url=served.url, **given)  # type: ignore[arg-type]


def store_of(served: Hub, root: Path, *, digests: bool = True) -> ModelStore:
    return ModelStore(root / "models", pin(served.files, digests=digests))


def nothing_installed(store: ModelStore) -> bool:
    return all(entry.installed is None and entry.reason is None for entry in store.list())


def test_a_pulled_model_is_whole_and_says_where_it_came_from(served: Hub, tmp_path: Path) -> None:
    store = store_of(served, tmp_path)
    seen: dict[str, tuple[int, int | None]] = {}
    model = store.pull(
        "blip-tiny", options(served), lambda name, done, total: seen.update({name: (done, total)})
    )
    assert {
        path.name: path.read_bytes() for path in model.folder.iterdir() if path.name != RECORD
    } == served.files
    assert (model.source, model.revision, model.licence) == ("example/tiny", REVISION, "MIT")
    assert store.find("blip-tiny") == store.verify("blip-tiny") == model
    assert seen == {name: (len(data), len(data)) for name, data in served.files.items()}
    assert all(f"/{REVISION}/" in path or path.startswith("/store/") for path, _ in served.asked)


def test_an_installed_model_is_not_fetched_again(served: Hub, tmp_path: Path) -> None:
    store = store_of(served, tmp_path)
    first = store.pull("blip-tiny", options(served))
    served.asked.clear()
    assert store.pull("blip-tiny", options(served)) == first
    assert served.asked == []


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_download_goes_on_where_it_stopped(served: Hub, tmp_path: Path, ranges: bool) -> None:
    store = store_of(served, tmp_path)
    served.ranges = ranges
    served.cut[WEIGHTS] = 100_000
    with pytest.raises(CaseframeError, match=r"connection failed after 0\.1 MB.*goes on"):
        store.pull("blip-tiny", options(served))
    assert nothing_installed(store)
    served.cut.clear()
    served.asked.clear()
    assert store.pull("blip-tiny", options(served)).size > 100_000
    assert (f"/store/{WEIGHTS}", "bytes=100000-") in served.asked
    assert not any("/config.json" in path for path, _ in served.asked)


def test_a_connection_that_breaks_again_and_again_is_tried_again(
    served: Hub, tmp_path: Path
) -> None:
    served.cut[WEIGHTS] = 100_000
    model = store_of(served, tmp_path).pull("blip-tiny", options(served, tries=5))
    assert (model.folder / WEIGHTS).read_bytes() == served.files[WEIGHTS]
    assert [asked for path, asked in served.asked if path.endswith(WEIGHTS)] == [
        None, "bytes=100000-", "bytes=200000-",
    ]  # fmt: skip


def test_a_server_that_falls_silent_is_given_up(served: Hub, tmp_path: Path) -> None:
    served.silent = threading.Event()
    served.cut[WEIGHTS] = 1000
    store = store_of(served, tmp_path)
    with pytest.raises(CaseframeError, match="connection failed"):
        store.pull("blip-tiny", options(served, silent_seconds=0.2))
    assert nothing_installed(store)


@pytest.mark.parametrize("digests", [True, False])
@pytest.mark.parametrize("where", ["all", "flipped", "longer"])
def test_wrong_content_is_never_installed(
    served: Hub, tmp_path: Path, where: str, digests: bool
) -> None:
    right = served.files[WEIGHTS]
    store = store_of(served, tmp_path, digests=digests)
    with hub() as wrong:
        wrong.files |= served.files
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
    assert store.pull("blip-tiny", options(served)).size  # and the next try is not spoiled by it


@pytest.mark.parametrize("etags", ["hub", "git"])
def test_without_a_pinned_digest_the_stated_one_is_held(
    served: Hub, tmp_path: Path, etags: str
) -> None:
    served.etags = etags
    store = store_of(served, tmp_path, digests=False)
    model = store.pull("blip-tiny", options(served))
    assert {f.name: f.sha256 for f in model.files} == {
        name: hashlib.sha256(data).hexdigest() for name, data in served.files.items()
    }


@pytest.mark.parametrize("status", [401, 403, 404, 410, 500, 503])
def test_an_answer_that_is_no_file_says_so(served: Hub, tmp_path: Path, status: int) -> None:
    served.status[WEIGHTS] = status
    store = store_of(served, tmp_path)
    with pytest.raises(CaseframeError, match=f"{WEIGHTS}: .* answers {status}"):
        store.pull("blip-tiny", options(served))
    assert nothing_installed(store)


def test_a_hub_that_is_away_says_so(tmp_path: Path, served: Hub) -> None:
    with hub() as gone:
        pass
    store = store_of(served, tmp_path)
    with pytest.raises(CaseframeError, match=r"connection failed after 0\.0 MB"):
        store.pull("blip-tiny", options(gone))
    assert nothing_installed(store)


def test_a_part_longer_than_the_file_starts_again(served: Hub, tmp_path: Path) -> None:
    store = store_of(served, tmp_path)
    staging = tmp_path / "models" / ".incoming" / f"blip-tiny@{REVISION[:12]}"
    staging.mkdir(parents=True)
    (staging / f"{WEIGHTS}.part").write_bytes(b"x" * (len(served.files[WEIGHTS]) + 5))
    (staging / "config.json.part").write_bytes(b"y" * 7)  # and one with other bytes
    with pytest.raises(CaseframeError, match=r"config\.json: wrong checksum"):
        store.pull("blip-tiny", options(served))
    assert store.pull("blip-tiny", options(served)).size


def test_a_file_that_was_changed_while_waiting_is_fetched_again(
    served: Hub, tmp_path: Path
) -> None:
    store = store_of(served, tmp_path)
    served.status[WEIGHTS] = 404
    with pytest.raises(CaseframeError):
        store.pull("blip-tiny", options(served))
    served.status.clear()
    staging = tmp_path / "models" / ".incoming" / f"blip-tiny@{REVISION[:12]}"
    (staging / "config.json").write_text("{}")
    assert store.pull("blip-tiny", options(served)).size
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


def test_two_processes_do_not_install_the_same_model(served: Hub, tmp_path: Path) -> None:
    store = store_of(served, tmp_path)
    incoming = tmp_path / "models" / ".incoming"
    incoming.mkdir(parents=True)
    with (incoming / "blip-tiny.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(CaseframeError, match="another process is installing"):
            store.pull("blip-tiny", options(served))
    assert store.pull("blip-tiny", options(served)).size


def test_redirections_from_https_to_http_are_refused() -> None:
    with client_for(DownloadOptions(url="https://example.org")) as client:
        hook = client.event_hooks["request"][0]
        hook(httpx.Request("GET", "https://store.example.org/x"))
        with pytest.raises(CaseframeError, match="redirects to http"):
            hook(httpx.Request("GET", "http://store.example.org/x"))


def damage(folder: Path, how: str) -> str:
    """Damage an installed model; what the error has to name."""
    weights = folder / WEIGHTS
    if how == "missing":
        weights.unlink()
        return WEIGHTS
    if how == "shorter":
        os.truncate(weights, weights.stat().st_size // 2)
        return WEIGHTS
    if how == "other bytes":
        data = weights.read_bytes()
        weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        return WEIGHTS
    if how == "a link":
        weights.rename(folder.parent / "elsewhere")
        weights.symlink_to(folder.parent / "elsewhere")
        return WEIGHTS
    if how == "a file more":
        (folder / "more.safetensors").write_bytes(b"")
        return "more.safetensors"
    if how == "no record":
        (folder / RECORD).unlink()
        return "completely installed"
    (folder / RECORD).write_text({"broken record": "{", "other record": "[]"}[how])
    return RECORD


DAMAGES = ["missing", "shorter", "other bytes", "a link", "a file more", "no record",
           "broken record", "other record"]  # fmt: skip


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_model_is_refused_with_the_command_that_mends_it(
    served: Hub, tmp_path: Path, how: str
) -> None:
    store = store_of(served, tmp_path)
    named = damage(store.pull("blip-tiny", options(served)).folder, how)
    for look in (store.find, store.verify):
        with pytest.raises(ModelUnavailable, match=f"{named}.*caseframe models remove blip-tiny"):
            look("blip-tiny")
    (entry,) = (entry for entry in store.list() if entry.name == "blip-tiny")
    assert entry.installed is None
    assert named in (entry.reason or "")
    mended = store.pull("blip-tiny", options(served))
    assert store.verify("blip-tiny") == mended


def test_bytes_changed_behind_an_old_time_are_found_by_verify(served: Hub, tmp_path: Path) -> None:
    store = store_of(served, tmp_path)
    weights = store.pull("blip-tiny", options(served)).folder / WEIGHTS
    before = weights.stat()
    damage(weights.parent, "other bytes")
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert store.find("blip-tiny")  # the start stays fast
    with pytest.raises(ModelUnavailable, match="wrong checksum"):
        store.verify("blip-tiny")


def test_a_folder_carried_to_another_machine_works(served: Hub, tmp_path: Path) -> None:
    folder = store_of(served, tmp_path).pull("blip-tiny", options(served)).folder
    carried = tmp_path / "other" / "blip-tiny"
    carried.mkdir(parents=True)
    for path in folder.iterdir():
        (carried / path.name).write_bytes(path.read_bytes())
        os.utime(carried / path.name, (1, 1))
    other = ModelStore(tmp_path / "other", pin(served.files))
    assert other.find("blip-tiny").digest == store_of(served, tmp_path).find("blip-tiny").digest
    stamped = (carried / RECORD).read_bytes()
    assert other.find("blip-tiny")
    assert (carried / RECORD).read_bytes() == stamped  # hashed once, not at every start


def test_a_record_that_is_true_of_other_files_is_not_the_known_model(
    served: Hub, tmp_path: Path
) -> None:
    store = store_of(served, tmp_path)
    store.pull("blip-tiny", options(served))
    known = store_of(served, tmp_path)._known["blip-tiny"]
    files = (replace(known.files[0], sha256="0" * 64), *known.files[1:])
    other = ModelStore(tmp_path / "models", {"blip-tiny": replace(known, files=files)})
    with pytest.raises(ModelUnavailable, match="is not the one that is known as blip-tiny"):
        other.verify("blip-tiny")


def test_remove_leaves_nothing(served: Hub, tmp_path: Path) -> None:
    store = store_of(served, tmp_path)
    store.pull("blip-tiny", options(served))
    store.remove("blip-tiny")
    served.cut[WEIGHTS] = 10
    with pytest.raises(CaseframeError):
        store.pull("blip-tiny", options(served))
    store.remove("blip-tiny")
    left = [path.name for path in (tmp_path / "models").rglob("*") if path.is_file()]
    assert left == ["blip-tiny.lock"]
    with pytest.raises(ModelUnavailable, match="not installed"):
        store.remove("blip-tiny")


def test_which_model_blip_is(tiny: Path, tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    with pytest.raises(ModelUnavailable, match="caseframe models pull BLIP"):
        store.installed_for("BLIP")
    store.import_folder(tiny, "mine")
    assert store.installed_for("BLIP").name == store.installed_for("BLIP_QUANTIZED").name == "mine"
    store.import_folder(tiny, "other")
    with pytest.raises(ModelUnavailable, match=r"mine, other.*blip_model"):
        store.installed_for("BLIP")
    assert store.installed_for("BLIP", "other").name == "other"
    assert store.installed_for("mine", "other").name == "mine"
    with pytest.raises(ModelUnavailable, match="pull blip-large"):
        store.installed_for("BLIP", "blip-large")
    ranked = ModelStore(tmp_path, {**pin({}), "other": replace(pin({})["blip-tiny"], name="other")})
    assert ranked.installed_for("BLIP").name == "other"


def test_why_captions_are_missing(tiny: Path, tmp_path: Path) -> None:
    assert "caseframe models pull BLIP" in (missing(tmp_path / "none") or "")
    ModelStore(tmp_path).import_folder(tiny, "mine")
    assert missing(tmp_path) is None
    assert "import FOLDER --name gone" in (missing(tmp_path, "gone") or "")
    assert "cannot be the name" in (missing(tmp_path, "../mine") or "")


@pytest.mark.parametrize("name", ["", "X", "../x", "a/b", ".x", "-x", "a" * 65, "ä", "a\n", "a b"])
def test_names_that_no_model_can_have(tmp_path: Path, name: str) -> None:
    store = ModelStore(tmp_path)
    for use in (store.find, store.verify, store.remove, lambda n: store.import_folder(tmp_path, n)):
        with pytest.raises(UsageError, match="cannot be the name"):
            use(name)
    with pytest.raises(UsageError, match="cannot be pulled"):
        store.pull(name)
    assert list(tmp_path.iterdir()) == []


def test_looking_at_the_store_does_not_load_torch() -> None:
    words = (
        "import sys, caseframe.vision.store as s; from pathlib import Path; s.missing(Path('x'))"
    )
    words += "; import caseframe.vision.blip; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", words], check=False).returncode == 0


def test_the_manifest_is_complete() -> None:
    assert list(KNOWN) == ["blip-base", "blip-large"]
    for model in KNOWN.values():
        assert len(bytes.fromhex(model.revision)) == 20
        for file in model.files:
            assert file.sha256 is None or len(bytes.fromhex(file.sha256)) == 32
    base = {file.name: file for file in KNOWN["blip-base"].files}
    assert all(file.size and file.sha256 for file in base.values())
    assert KNOWN["blip-base"].size == 990_769_234
    assert KNOWN["blip-large"].size is None
