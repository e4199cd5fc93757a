"""What the files of a model must be before anything reads them: BLIP, and nothing that executes.

Nothing here needs torch. Problems are ModelUnavailable with the name of the file first.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caseframe.domain.errors import ModelUnavailable

CONFIG = "config.json"
PREPROCESSOR = "preprocessor_config.json"
TOKENIZER = "tokenizer.json"
VOCABULARY = "vocab.txt"
TAKEN = frozenset({
    CONFIG, PREPROCESSOR, TOKENIZER, VOCABULARY,
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
})  # fmt: skip
"""Names of the small files that belong to a model; others are not copied."""

ARCHITECTURE = "BlipForConditionalGeneration"
_MOST_JSON = 32_000_000
_MOST_HEADER = 100_000_000  # the format's own bound
_MOST_SIDE = 2048
# Bytes of one value, by the table of the safetensors format; models hold no others.
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1}
# Mean and deviation of CLIP's training pictures (Radford et al. 2021), which BLIP uses as well.
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_DEVIATION = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class PictureFormat:
    """What the model wants to see: the side in pixels, mean and deviation of R, G, B in 0..1."""

    side: int
    mean: tuple[float, float, float] = _MEAN
    deviation: tuple[float, float, float] = _DEVIATION


def check_folder(folder: Path) -> None:
    """Raise ModelUnavailable unless the folder holds one whole BLIP in safetensors."""
    picture_format(folder)
    if not (folder / TOKENIZER).is_file() and not (folder / VOCABULARY).is_file():
        raise ModelUnavailable(f"neither {TOKENIZER} nor {VOCABULARY} is there")
    for name in sorted(TAKEN):
        if name.endswith(".json") and (folder / name).is_file():
            _refuse_code(name, _read_json(folder / name))
    tensors: dict[str, Any] = {}
    for path in sorted(folder.glob("*.safetensors")):
        found = check_safetensors(path)
        if twice := tensors.keys() & found.keys():
            raise ModelUnavailable(f"{path.name} holds {min(twice)} a second time")
        tensors.update(found)
    if not tensors:
        raise ModelUnavailable("no weights in safetensors are there; pickles are never loaded")


def picture_format(folder: Path) -> PictureFormat:
    """How pictures are prepared for the model in this folder. Raises ModelUnavailable."""
    side = _side_of(_read_json(folder / CONFIG))
    path = folder / PREPROCESSOR
    if not path.is_file():
        return PictureFormat(side)
    said = _read_json(path)
    try:
        mean = _three(said.get("image_mean", _MEAN))
        deviation = _three(said.get("image_std", _DEVIATION))
        size = said.get("size", side)
        sides = {int(s) for s in size.values()} if isinstance(size, dict) else {int(size)}
    except (TypeError, ValueError) as error:
        raise ModelUnavailable(f"{PREPROCESSOR} cannot be understood: {error}") from error
    if sides != {side}:
        raise ModelUnavailable(f"{PREPROCESSOR} and {CONFIG} name different picture sizes")
    return PictureFormat(side, mean, deviation)


def _three(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    if not all(map(math.isfinite, (red, green, blue))):
        raise ValueError("a number is not finite")
    return red, green, blue


def _side_of(config: Mapping[str, Any]) -> int:
    kind = config.get("model_type")
    if kind != "blip":
        raise ModelUnavailable(f"{CONFIG} is of model_type {kind!r}, not 'blip'")
    architectures = config.get("architectures") or [ARCHITECTURE]
    if ARCHITECTURE not in architectures:
        raise ModelUnavailable(f"{CONFIG} is of {architectures}, which writes no captions")
    vision = config.get("vision_config")
    side = vision.get("image_size", 384) if isinstance(vision, dict) else None
    if not isinstance(side, int) or not 1 <= side <= _MOST_SIDE:
        raise ModelUnavailable(f"{CONFIG} names no usable vision_config.image_size")
    return side


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MOST_JSON:
            raise ModelUnavailable(f"{path.name} is too large for what it should be")
        value = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ModelUnavailable(f"{path.name} is missing") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelUnavailable(f"{path.name} is not readable as JSON") from error
    if not isinstance(value, dict):
        raise ModelUnavailable(f"{path.name} is not a JSON object")
    return value


def _refuse_code(name: str, value: Any) -> None:
    """`auto_map` and its like name Python files to be run: never for us."""
    if isinstance(value, dict):
        if "auto_map" in value or "custom_pipelines" in value:
            raise ModelUnavailable(f"{name} names code to be run (auto_map); that is never done")
        for inner in value.values():
            _refuse_code(name, inner)
    elif isinstance(value, list):
        for inner in value:
            _refuse_code(name, inner)


def check_safetensors(path: Path) -> dict[str, Any]:
    """The header of a safetensors file, if the file is whole. Raises ModelUnavailable.

    The format: 8 bytes little-endian length of the header, the header as JSON, then the values
    without gaps to the end of the file (https://github.com/huggingface/safetensors, README).
    """
    header, values = _header(path)
    header.pop("__metadata__", None)
    spans = sorted(_span(path.name, name, entry) for name, entry in header.items())
    end = 0
    for begin, stop in spans:
        if begin != end:
            raise ModelUnavailable(f"{path.name} has gaps or overlaps between its values")
        end = stop
    if end != values:
        raise ModelUnavailable(f"{path.name} is cut: it holds {values} bytes of {end}")
    return header


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """The header, and how many bytes of values follow it."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(8)
            length = struct.unpack("<Q", head)[0] if len(head) == 8 else size
            if length > min(_MOST_HEADER, size - 8):
                raise ModelUnavailable(f"{path.name} is cut or no safetensors file")
            header = json.loads(file.read(length))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelUnavailable(f"{path.name} is no safetensors file") from error
    if not isinstance(header, dict):
        raise ModelUnavailable(f"{path.name} is no safetensors file")
    return header, size - 8 - length


def _span(file: str, name: str, entry: Any) -> tuple[int, int]:
    try:
        begin, stop = entry["data_offsets"]
        count = math.prod(entry["shape"]) * _BYTES[entry["dtype"]]
        sound = 0 <= begin <= stop and stop - begin == count and min(entry["shape"], default=0) >= 0
    except (KeyError, TypeError, ValueError) as error:
        raise ModelUnavailable(f"{file} describes {name} in no known way") from error
    if not sound:
        raise ModelUnavailable(f"{file} gives {name} a size that is not its own")
    return begin, stop
