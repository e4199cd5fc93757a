"""BLIP (Li et al. 2022, arXiv:2201.12086): an installed captioning model behind `Describer`."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from caseframe.domain.errors import ModelUnavailable
from caseframe.domain.text import one_line
from caseframe.scanner.limits import Limits
from caseframe.vision.describer import Identity
from caseframe.vision.device import Place, choose
from caseframe.vision.installed import mend, open_installed
from caseframe.vision.pixels import Prepare
from caseframe.vision.safe import TOKENIZER, VOCABULARY, picture_format

QUANTIZED = "BLIP_QUANTIZED"
# The libraries must neither ask a server for files nor report that they are used.
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK")


@dataclass(frozen=True)
class BlipOptions:
    """Which model, and how it works; the settings of the same names explain each."""

    folder: Path
    """Folder of an installed model."""
    name: str = "BLIP"
    """BLIP, or BLIP_QUANTIZED for 8-bit weights."""
    device: str = "auto"
    precision: str = "auto"
    threads: int = 0
    max_tokens: int = 20
    beams: int = 1
    """1 is greedy search."""
    batch: int = 8
    limits: Limits = field(default_factory=Limits)


def set_up_libraries() -> None:
    """Tell torch and transformers how to behave; works only before they are imported.

    Threads that wait for each other must sleep: by default they spin, and where anything else
    runs on the same cores, each step of the model then waits for whole time slices (measured with
    other work on both of two cores: about 1 s a picture instead of 10 and more).
    """
    os.environ.update(dict.fromkeys(_OFFLINE, "1"))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class BlipDescriber:
    """Captions by BLIP. Everything but `prepare` belongs to one thread.

    Creating it looks at the files (ModelUnavailable) and at the device; `load` imports torch.
    """

    def __init__(self, options: BlipOptions) -> None:
        self._options = options
        self._installed = open_installed(options.folder)
        try:
            self._format = picture_format(options.folder)
        except ModelUnavailable as error:
            raise self._unusable(str(error)) from error
        self.batch = options.batch
        self.prepare = Prepare(self._format.side, options.limits)
        self._model: _Loaded | None = None

    @cached_property
    def place(self) -> Place:
        """Device and arithmetic that were chosen. Raises ModelUnavailable."""
        return choose(self._options.device, self._options.precision)

    @cached_property
    def identity(self) -> Identity:
        """The digest covers the files and all settings that words depend on; not the batch."""
        options = self._options
        depends = {
            "files": self._installed.digest,
            "name": options.name,
            "device": self.place.device.partition(":")[0],
            "precision": self.place.precision,
            "tokens": options.max_tokens,
            "beams": options.beams,
        }
        digest = hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()
        return Identity(options.name, self._installed.name, self._installed.revision, digest)

    def load(self) -> None:
        """See `Describer.load`. Takes some seconds the first time."""
        if self._model is not None:
            return
        set_up_libraries()
        try:
            self._model = _Loaded(
                self._options, self.place, self._format.mean, self._format.deviation
            )
        except ImportError as error:
            raise ModelUnavailable(
                f"{error.name or error} is not installed; run: pip install 'caseframe[describe]'"
            ) from error
        except ModelUnavailable as error:
            raise self._unusable(str(error)) from error
        except Exception as error:  # the libraries raise anything over files and devices
            said = one_line(f"{type(error).__name__}: {error}")
            raise self._unusable(f"it cannot be loaded ({said})") from error

    def _unusable(self, reason: str) -> ModelUnavailable:
        name = self._installed.name
        return ModelUnavailable(f"model {name} cannot be used: {reason}; {mend(name)}")

    def describe(self, prepared: Sequence[npt.NDArray[np.uint8]]) -> list[str]:
        """See `Describer.describe`. Pictures are as `prepare` makes them."""
        self.load()
        assert self._model is not None  # noqa: S101 - for the type checker
        return self._model.describe(prepared)


class _Loaded:
    """What exists only once torch is there."""

    def __init__(
        self,
        options: BlipOptions,
        place: Place,
        mean: tuple[float, float, float],
        deviation: tuple[float, float, float],
    ) -> None:
        import torch  # noqa: PLC0415 - half a gigabyte; not before a model is wanted
        import transformers  # noqa: PLC0415

        from caseframe.vision.greedy import ROWS, GreedySearch  # noqa: PLC0415
        from caseframe.vision.loading import load_model  # noqa: PLC0415

        transformers.logging.set_verbosity_error()
        torch.set_num_threads(options.threads or len(os.sched_getaffinity(0)))
        self._torch = torch
        self._options = options
        self._place = place
        self._rows = ROWS
        # A CPU gains nothing from several pictures at once in the vision part, and memory grows.
        self._together = 1 if place.on_cpu else ROWS
        self._model = load_model(options.folder, place, eight_bit=options.name == QUANTIZED)
        self._tokenizer = _tokenizer(options.folder)
        self._search = GreedySearch(self._model)
        self._scale, self._shift = (
            torch.tensor(values, dtype=torch.float32, device=place.device)
            for values in (
                [1 / (255 * d) for d in deviation],
                [-m / d for m, d in zip(mean, deviation, strict=True)],
            )
        )

    def describe(self, prepared: Sequence[npt.NDArray[np.uint8]]) -> list[str]:
        said: list[str] = []
        with self._torch.inference_mode():
            for start in range(0, len(prepared), self._rows):
                seen = self._see(prepared[start : start + self._rows])
                words = (
                    self._search(seen, self._options.max_tokens)
                    if self._options.beams == 1
                    else [self._by_beams(picture) for picture in seen]
                )
                said.extend(self._tokenizer.decode_batch(words, skip_special_tokens=True))
        return [one_line(text) for text in said]

    def _see(self, pictures: Sequence[npt.NDArray[np.uint8]]) -> list[Any]:
        """The vision part's answer to each picture, (1, patches, width); always in equal shapes."""
        torch = self._torch
        answers: list[Any] = []
        for start in range(0, len(pictures), self._together):
            part = list(pictures[start : start + self._together])
            filled = part + [part[0]] * (self._together - len(part))
            pixels = torch.from_numpy(np.stack(filled)).to(self._place.device)
            levels = (pixels.float() * self._scale + self._shift).permute(0, 3, 1, 2)
            made = self._model.vision_model(pixel_values=levels).last_hidden_state
            answers.extend(made[number : number + 1] for number in range(len(part)))
        return answers

    def _by_beams(self, seen: Any) -> list[int]:
        """Beam search, one picture at a time, by transformers."""
        torch, text = self._torch, self._model.config.text_config
        first = torch.tensor([[text.bos_token_id]], device=seen.device)
        found = self._model.text_decoder.generate(
            input_ids=first,
            attention_mask=torch.ones_like(first),
            encoder_hidden_states=seen,
            encoder_attention_mask=torch.ones(seen.shape[:2], dtype=torch.long, device=seen.device),
            eos_token_id=text.sep_token_id,
            pad_token_id=text.pad_token_id,
            max_new_tokens=self._options.max_tokens,
            num_beams=self._options.beams,
            do_sample=False,
        )
        words: list[int] = found[0, 1:].tolist()
        return words


def _tokenizer(folder: Path) -> Any:
    from tokenizers import BertWordPieceTokenizer, Tokenizer  # noqa: PLC0415 - of the extra

    if (folder / TOKENIZER).is_file():
        return Tokenizer.from_file(str(folder / TOKENIZER))
    return BertWordPieceTokenizer(str(folder / VOCABULARY))
