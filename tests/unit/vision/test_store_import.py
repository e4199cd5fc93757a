"""Importing a folder: what is taken, what is refused, and that a refusal leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.models import tiny_blip

from caseframe.domain.errors import CaseframeError, ModelUnavailable, UsageError
from caseframe.vision.manifest import PICKLE, WEIGHTS
from caseframe.vision.safe import check_folder, check_safetensors, picture_format
from caseframe.vision.store import ModelStore


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "carried"))


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_an_imported_model_is_recorded_as_the_users_own(folder: Path, tmp_path: Path) -> None:
    (folder / "README.md").write_text("left where it is")
    (folder / "modeling.py").write_text("raise SystemExit")
    (folder / "old.bin").write_bytes(b"a pickle beside safetensors is not taken")
    (folder / "runs").mkdir()
    store = ModelStore(tmp_path / "models")
    model = store.import_folder(folder, "my-model_1.0")
    assert (model.came, model.licence, model.source) == ("import", None, str(folder))
    assert model.revision == f"sha256:{model.digest[:12]}"
    assert sorted(file.name for file in model.files) == [
        "config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json",
        "tokenizer_config.json", "vocab.txt",
    ]  # fmt: skip
    shutil.rmtree(folder)
    assert store.verify("my-model_1.0") == model


def test_importing_again_replaces(tiny: Path, tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    first = store.import_folder(tiny, "mine")
    other = tiny_blip(tmp_path / "other", seed=1)
    assert store.import_folder(other, "mine").digest != first.digest
    assert [path.name for path in (tmp_path / "models" / ".incoming").iterdir()] == ["mine.lock"]


def test_small_models_may_lack_what_has_a_default(folder: Path, tmp_path: Path) -> None:
    for name in ("preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    assert ModelStore(tmp_path / "models").import_folder(folder, "mine")
    assert picture_format(folder).side == 32


def truncate(part: float) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        os.truncate(folder / WEIGHTS, int((folder / WEIGHTS).stat().st_size * part))

    return act


def pickle_only(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / PICKLE)


def link_out(folder: Path) -> None:
    outside = folder.parent / "outside.safetensors"
    (folder / WEIGHTS).rename(outside)
    (folder / WEIGHTS).symlink_to(outside)


def link_up(folder: Path) -> None:
    (folder / "vocab.txt").unlink()
    (folder / "vocab.txt").symlink_to("/etc/passwd")


def link_nowhere(folder: Path) -> None:
    (folder / "vocab.txt").unlink()
    (folder / "vocab.txt").symlink_to("gone")


def pipe(folder: Path) -> None:
    (folder / "vocab.txt").unlink()
    os.mkfifo(folder / "vocab.txt")


def removed(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def config(**values: Any) -> Callable[[Path], None]:
    return lambda folder: change(folder / "config.json", **values)


def written(name: str, text: str) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        (folder / name).write_text(text)

    return act


def no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").unlink()


def twice(folder: Path) -> None:
    shutil.copy(folder / WEIGHTS, folder / "second.safetensors")


REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "a pickle": (pickle_only, "is a pickle"),
    "half the weights": (truncate(0.5), "is cut"),
    "one byte short": (truncate(0.99999), "is cut"),
    "a header only": (truncate(0.02), "cut or no safetensors"),
    "no weights": (truncate(0), "cut or no safetensors"),
    "weights twice": (twice, "a second time"),
    "other weights": (written(WEIGHTS, "<html>" * 100), "cut or no safetensors"),
    "a link out": (link_out, "leads out of"),
    "a link up": (link_up, "leads out of"),
    "a link nowhere": (link_nowhere, "cannot be read"),
    "a pipe": (pipe, "is not a file"),
    "no config": (removed("config.json"), "config.json is missing"),
    "no weights at all": (removed(WEIGHTS), "no weights in safetensors"),
    "no tokenizer": (no_tokenizer, "neither tokenizer.json nor vocab.txt"),
    "config no JSON": (written("config.json", "{"), "config.json is not readable"),
    "config a list": (written("config.json", "[]"), "not a JSON object"),
    "config deep": (written("config.json", "[" * 200_000), "not readable"),
    "other kind": (config(model_type="llava"), "not 'blip'"),
    "no kind": (config(model_type=None), "not 'blip'"),
    "questions": (config(architectures=["BlipForQuestionAnswering"]), "writes no captions"),
    "remote code": (config(auto_map={"AutoModel": "modeling.X"}), "auto_map"),
    "deep remote code": (config(vision_config={"image_size": 32, "a": [{"auto_map": 1}]}), "auto"),
    "tokenizer code": (
        written("tokenizer_config.json", '{"auto_map": {"AutoTokenizer": ["t.T", null]}}'),
        "tokenizer_config.json names code",
    ),
    "no side": (config(vision_config={"image_size": "large"}), "image_size"),
    "a giant": (config(vision_config={"image_size": 10**6}), "image_size"),
    "no vision": (config(vision_config=7), "image_size"),
    "sides differ": (
        written("preprocessor_config.json", '{"size": {"height": 64, "width": 64}}'),
        "different picture sizes",
    ),
    "odd mean": (written("preprocessor_config.json", '{"image_mean": [1, 2]}'), "understood"),
    "no mean": (written("preprocessor_config.json", '{"image_std": [1, 2, "x"]}'), "understood"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_leaves_nothing(folder: Path, tmp_path: Path, case: str) -> None:
    spoil, said = REFUSED[case]
    spoil(folder)
    store = ModelStore(tmp_path / "models")
    with pytest.raises(CaseframeError, match=said):
        store.import_folder(folder, "mine")
    left = [str(p) for p in (tmp_path / "models").rglob("*") if p.is_file()]
    assert [os.path.basename(name) for name in left] == ["mine.lock"]


def test_a_link_to_a_neighbour_is_copied_as_a_file(folder: Path, tmp_path: Path) -> None:
    (folder / WEIGHTS).rename(folder / "blob")
    (folder / WEIGHTS).symlink_to("blob")
    model = ModelStore(tmp_path / "models").import_folder(folder, "mine")
    assert not (model.folder / WEIGHTS).is_symlink()


@pytest.mark.parametrize("name", ["blip-base", "blip-large"])
def test_a_known_name_demands_the_known_files(folder: Path, tmp_path: Path, name: str) -> None:
    store = ModelStore(tmp_path / "models")
    with pytest.raises(CaseframeError, match=f"this is not {name}.*--name OTHER-NAME"):
        store.import_folder(folder, name)


@pytest.mark.parametrize("what", ["missing", "a file", "nothing in it"])
def test_what_is_no_folder_of_a_model(tmp_path: Path, what: str) -> None:
    path = tmp_path / "x"
    if what == "a file":
        path.write_text("")
    if what == "nothing in it":
        path.mkdir()
    expected = CaseframeError if path.is_dir() else UsageError
    with pytest.raises(expected, match=r"is not a folder|is missing"):
        ModelStore(tmp_path / "models").import_folder(path, "mine")


HEADERS: dict[str, Any] = {
    "no object": [],
    "no entry": {"a": 1},
    "no offsets": {"a": {"dtype": "F32", "shape": [1]}},
    "unknown type": {"a": {"dtype": "X9", "shape": [1], "data_offsets": [0, 4]}},
    "wrong size": {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}},
    "negative": {"a": {"dtype": "F32", "shape": [-1, -1], "data_offsets": [0, 4]}},
    "backwards": {"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}},
    "a gap": {"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}},
    "overlap": {
        "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
        "b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
    },
    "beyond": {"a": {"dtype": "F32", "shape": [1000], "data_offsets": [0, 4000]}},
    "text offsets": {"a": {"dtype": "F32", "shape": [1], "data_offsets": ["0", "4"]}},
}


@pytest.mark.parametrize("case", HEADERS)
def test_headers_that_lie(tmp_path: Path, case: str) -> None:
    header = json.dumps(HEADERS[case]).encode()
    path = tmp_path / WEIGHTS
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 8)
    with pytest.raises(ModelUnavailable, match=WEIGHTS):
        check_safetensors(path)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=64))
def test_any_bytes_are_sound_or_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / WEIGHTS
    path.write_bytes(data)
    reason = None
    try:
        check_safetensors(path)
    except ModelUnavailable as error:
        reason = str(error)
    assert reason is None or reason.startswith(WEIGHTS)


def test_a_whole_model_passes(tiny: Path) -> None:
    check_folder(tiny)
    assert len(check_safetensors(tiny / WEIGHTS)) == 91
