"""Loading: conversion once, damage noticed, absence said clearly."""

from __future__ import annotations

import hashlib
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec as real_find_spec
from pathlib import Path

import pytest

from caseframe.faces import cache, graph, packages
from caseframe.faces.analyser import FaceAnalyser
from caseframe.faces.packages import (
    DESCRIPTOR_FILE,
    DETECTOR_FILE,
    WEIGHTS,
    FacesUnavailable,
    missing,
    models_folder,
)


@pytest.fixture
def copied_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of model files that may be damaged, in place of the installed one."""
    folder = tmp_path / "copied" / "models"
    folder.mkdir(parents=True)
    for name in WEIGHTS:
        (folder / name).symlink_to(models_folder() / name)
    spec = ModuleSpec("face_recognition_models", None, is_package=True)
    spec.submodule_search_locations = [str(folder.parent)]

    def find(name: str) -> ModuleSpec | None:
        return spec if name == "face_recognition_models" else real_find_spec(name)

    monkeypatch.setattr(packages, "find_spec", find)
    return folder


def hide(monkeypatch: pytest.MonkeyPatch, *hidden: str) -> None:
    """Make packages look as if they were not installed."""
    monkeypatch.setattr(
        packages, "find_spec", lambda name: None if name in hidden else real_find_spec(name)
    )


@pytest.mark.usefixtures("analyser")
def test_converts_once(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.stat().st_mtime_ns for path in cache_folder.iterdir()}
    monkeypatch.setattr(graph, "build", lambda *_: pytest.fail("converted again"))
    FaceAnalyser.load(cache_folder)
    assert {path: path.stat().st_mtime_ns for path in cache_folder.iterdir()} == before
    assert len(before) == 2


def test_the_digest_names_the_weights(analyser: FaceAnalyser, cache_folder: Path) -> None:
    assert len(bytes.fromhex(analyser.digest)) == 32
    assert analyser.digest == FaceAnalyser.load(cache_folder).digest
    stored = {path.name for path in cache_folder.iterdir()}
    for name in (DESCRIPTOR_FILE, DETECTOR_FILE):
        digest = hashlib.sha256((models_folder() / name).read_bytes()).hexdigest()
        assert any(digest in file for file in stored)


def test_other_weights_are_converted_anew_and_have_another_digest(
    analyser: FaceAnalyser, copied_models: Path, tmp_path: Path
) -> None:
    path = copied_models / DETECTOR_FILE
    changed = bytearray(path.read_bytes())
    changed[1000] ^= 1
    path.unlink()
    path.write_bytes(changed)
    assert FaceAnalyser.load(tmp_path).digest != analyser.digest


@pytest.mark.parametrize("name", [DESCRIPTOR_FILE, DETECTOR_FILE])
@pytest.mark.parametrize("kept_bytes", [0, 50, 300_000])
def test_says_that_a_model_file_is_damaged(
    copied_models: Path, tmp_path: Path, name: str, kept_bytes: int
) -> None:
    path = copied_models / name
    start = path.read_bytes()[:kept_bytes]
    path.unlink()
    path.write_bytes(start)
    with pytest.raises(FacesUnavailable, match="damaged") as caught:
        FaceAnalyser.load(tmp_path / "cache")
    assert "\n" not in str(caught.value)


def test_says_that_the_landmark_file_is_damaged(copied_models: Path, tmp_path: Path) -> None:
    path = copied_models / packages.LANDMARKS_FILE
    path.unlink()
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(FacesUnavailable, match="damaged"):
        FaceAnalyser.load(tmp_path / "cache")


@pytest.mark.parametrize("module", ["dlib", "onnxruntime", "face_recognition_models"])
def test_says_what_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: str
) -> None:
    hide(monkeypatch, module)
    reason = missing()
    assert reason is not None
    assert module in reason
    assert 'pip install "caseframe[faces]"' in reason
    with pytest.raises(FacesUnavailable, match=module):
        FaceAnalyser.load(tmp_path)


def test_says_which_model_file_is_missing(copied_models: Path) -> None:
    (copied_models / DETECTOR_FILE).unlink()
    assert DETECTOR_FILE in (missing() or "")


def test_says_that_the_conversion_needs_onnx(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delitem(sys.modules, "caseframe.faces.graph", raising=False)
    monkeypatch.delattr("caseframe.faces.graph", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(FacesUnavailable, match="onnx"):
        FaceAnalyser.load(tmp_path)


def test_nothing_is_missing_here() -> None:
    assert missing() is None


def test_a_half_written_file_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "model"
    assert cache.kept(path, lambda: b"whole content") == b"whole content"
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert cache.kept(path, lambda: b"made again") == b"made again"
    assert cache.kept(path, lambda: b"not needed") == b"made again"


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        cache.kept(tmp_path / "model", lambda: b"content")
    assert list(tmp_path.iterdir()) == []
