"""Keeping, checking and removing models that are installed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.forging import unseen
from tests.support.hub import Hub, options, pin, store_of

from caseframe.domain.errors import CaseframeError, ModelUnavailable, UsageError
from caseframe.vision.installed import RECORD
from caseframe.vision.manifest import KNOWN, WEIGHTS
from caseframe.vision.missing import missing
from caseframe.vision.store import ModelStore


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
    tiny_hub: Hub, tmp_path: Path, how: str
) -> None:
    store = store_of(tiny_hub, tmp_path)
    named = damage(store.pull("blip-tiny", options(tiny_hub)).folder, how)
    for look in (store.find, store.verify):
        with pytest.raises(ModelUnavailable, match=f"{named}.*caseframe models remove blip-tiny"):
            look("blip-tiny")
    (entry,) = (entry for entry in store.list() if entry.name == "blip-tiny")
    assert entry.installed is None
    assert named in (entry.reason or "")
    mended = store.pull("blip-tiny", options(tiny_hub))
    assert store.verify("blip-tiny") == mended


def test_bytes_changed_behind_an_old_time_are_found_by_verify(
    tiny_hub: Hub, tmp_path: Path
) -> None:
    store = store_of(tiny_hub, tmp_path)
    weights = store.pull("blip-tiny", options(tiny_hub)).folder / WEIGHTS
    with unseen(weights):
        damage(weights.parent, "other bytes")
    assert store.find("blip-tiny")  # the start stays fast
    with pytest.raises(ModelUnavailable, match="wrong checksum"):
        store.verify("blip-tiny")


def test_a_folder_carried_to_another_machine_works(tiny_hub: Hub, tmp_path: Path) -> None:
    folder = store_of(tiny_hub, tmp_path).pull("blip-tiny", options(tiny_hub)).folder
    carried = tmp_path / "other" / "blip-tiny"
    carried.mkdir(parents=True)
    for path in folder.iterdir():
        (carried / path.name).write_bytes(path.read_bytes())
        os.utime(carried / path.name, (1, 1))
    other = ModelStore(tmp_path / "other", pin(tiny_hub.files))
    assert other.find("blip-tiny").digest == store_of(tiny_hub, tmp_path).find("blip-tiny").digest
    stamped = (carried / RECORD).read_bytes()
    assert other.find("blip-tiny")
    assert (carried / RECORD).read_bytes() == stamped  # hashed once, not at every start


def test_a_record_that_is_true_of_other_files_is_not_the_known_model(
    tiny_hub: Hub, tmp_path: Path
) -> None:
    store = store_of(tiny_hub, tmp_path)
    store.pull("blip-tiny", options(tiny_hub))
    known = store_of(tiny_hub, tmp_path)._known["blip-tiny"]
    files = (replace(known.files[0], sha256="0" * 64), *known.files[1:])
    other = ModelStore(tmp_path / "models", {"blip-tiny": replace(known, files=files)})
    with pytest.raises(ModelUnavailable, match="is not the one that is known as blip-tiny"):
        other.verify("blip-tiny")


def test_remove_leaves_nothing(tiny_hub: Hub, tmp_path: Path) -> None:
    store = store_of(tiny_hub, tmp_path)
    store.pull("blip-tiny", options(tiny_hub))
    store.remove("blip-tiny")
    tiny_hub.cut[WEIGHTS] = 10
    with pytest.raises(CaseframeError):
        store.pull("blip-tiny", options(tiny_hub))
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
    words = "import sys, caseframe.vision.store as s; from pathlib import Path"
    words += "; s.ModelStore(Path('x')).list()"
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
