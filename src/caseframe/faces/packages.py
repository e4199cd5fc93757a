"""Where the packages and model files stand that faces need, and what to say when they do not.

Nothing here loads a model or imports a heavy package, so asking is cheap.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

DESCRIPTOR_FILE = "dlib_face_recognition_resnet_model_v1.dat"
DETECTOR_FILE = "mmod_human_face_detector.dat"
LANDMARKS_FILE = "shape_predictor_5_face_landmarks.dat"
WEIGHTS = (DESCRIPTOR_FILE, DETECTOR_FILE, LANDMARKS_FILE)

_INSTALL = 'install with: pip install "caseframe[faces]"'
_MODELS_PACKAGE = "face_recognition_models"
_NEEDED = {
    "dlib": "dlib-bin",
    "onnxruntime": "onnxruntime",
    _MODELS_PACKAGE: "face_recognition_models",
}


class FacesUnavailable(Exception):
    """Faces cannot be searched for here; the message is one line that says why and what to do."""


def need(what: str) -> FacesUnavailable:
    """Return the error for something that is not installed, with the command that installs it."""
    return FacesUnavailable(f"{what}; {_INSTALL}")


def missing() -> str | None:
    """Say in one line why faces are unavailable, or None when everything is in place.

    Only looks packages and files up; imports none of them and loads no model.
    """
    absent = [package for module, package in _NEEDED.items() if find_spec(module) is None]
    if absent:
        return f"not installed: {', '.join(absent)}; {_INSTALL}"
    folder = _folder()
    lost = [name for name in WEIGHTS if folder is None or not (folder / name).is_file()]
    if lost:
        return f"{_MODELS_PACKAGE} lacks {', '.join(lost)}; {_INSTALL}"
    return None


def models_folder() -> Path:
    """Return the folder of the installed model files.

    Raises FacesUnavailable when a package or a model file is absent.
    """
    reason = missing()
    folder = _folder()
    if reason is not None or folder is None:
        raise FacesUnavailable(reason or f"{_MODELS_PACKAGE} has no folder; {_INSTALL}")
    return folder


def _folder() -> Path | None:
    # The package is located, never imported: importing it needs pkg_resources, which
    # setuptools dropped in version 81.
    spec = find_spec(_MODELS_PACKAGE)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) / "models" if places else None
