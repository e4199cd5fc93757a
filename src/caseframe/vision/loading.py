"""BLIP from safetensors into memory: tensor by tensor, so that nothing is there twice.

The modules are those of transformers; their weights are put in place by hand, because
`from_pretrained` fills what a file lacks with random numbers and goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn
from torch.nn import functional
from transformers import BlipConfig, BlipForConditionalGeneration

from caseframe.domain.errors import ModelUnavailable
from caseframe.vision.device import Place
from caseframe.vision.quantize import Int8Embedding, Int8Linear

_WORDS = "text_decoder.bert.embeddings.word_embeddings"
_HEAD = "text_decoder.cls.predictions"
# Said twice in some files: the head shares its weights with the word vectors and its own bias.
_SAID_TWICE = (f"{_HEAD}.decoder.weight", f"{_HEAD}.decoder.bias")
# Pages of the file that were read count as ours until it is closed.
_AT_ONCE = 96_000_000


class _Tensors:
    """The tensors of a folder by name; `lasting` ones stay mapped to the file."""

    def __init__(self, folder: Path, *, lasting: bool) -> None:
        self._lasting = lasting
        self._where: dict[str, Path] = {}
        self._open: dict[Path, Any] = {}
        self._read = 0
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(path, framework="pt") as file:
                self._where.update(dict.fromkeys(file.keys(), path))

    def take(self, name: str) -> torch.Tensor:
        """Raises ModelUnavailable when no file holds it."""
        try:
            path = self._where.pop(name)
        except KeyError as error:
            raise ModelUnavailable(f"its weights lack {name}") from error
        if path not in self._open:
            self._open[path] = safe_open(path, framework="pt")
        tensor: torch.Tensor = self._open[path].get_tensor(name)
        self._read += tensor.nbytes
        if self._read > _AT_ONCE and not self._lasting:
            self._open.clear()
            self._read = 0
        return tensor

    def left(self) -> list[str]:
        """Names that nobody took."""
        return [
            name
            for name in self._where
            if name not in _SAID_TWICE and not name.endswith("position_ids")
        ]


def load_model(folder: Path, place: Place, *, eight_bit: bool) -> Any:
    """The model in `folder`, ready to describe. Raises ModelUnavailable when files do not fit."""
    kind = getattr(torch, place.precision)
    config = BlipConfig.from_pretrained(folder, local_files_only=True)
    with torch.device("meta"):
        model = BlipForConditionalGeneration(config)
    tensors = _Tensors(folder, lasting=place.precision == "float32" and not eight_bit)
    for name, module in list(model.named_modules()):
        if f"{name}." != f"{_HEAD}.decoder.":
            _fill(model, name, module, tensors, kind, place, eight_bit=eight_bit)
    _fill_head(model, tensors, kind, place, eight_bit=eight_bit)
    if left := tensors.left():
        raise ModelUnavailable(f"its weights hold {left[0]}, which is no part of this model")
    for layer in model.vision_model.encoder.layers:
        layer.self_attn = FusedAttention(layer.self_attn)
    _count_positions(model)
    return model.to(place.device).eval()


def _fill(
    model: nn.Module,
    name: str,
    module: nn.Module,
    tensors: _Tensors,
    kind: torch.dtype,
    place: Place,
    *,
    eight_bit: bool,
) -> None:
    own = dict(module.named_parameters(recurse=False))
    if name == _WORDS or not own:
        return
    found = {short: _checked(tensors, f"{name}.{short}", like) for short, like in own.items()}
    if eight_bit and isinstance(module, nn.Linear):
        bias = found.get("bias")
        made = Int8Linear(
            found["weight"], None if bias is None else bias.to(kind), on_cpu=place.on_cpu
        )
        model.set_submodule(name, made)
        return
    for short, tensor in found.items():
        setattr(module, short, _parameter(tensor, kind))


def _fill_head(
    model: Any, tensors: _Tensors, kind: torch.dtype, place: Place, *, eight_bit: bool
) -> None:
    """The word vectors, which are also the weights of the last layer, and its bias."""
    words = model.get_submodule(_WORDS)
    predictions = model.get_submodule(_HEAD)
    weight = _checked(tensors, f"{_WORDS}.weight", words.weight)
    if eight_bit:
        model.set_submodule(_WORDS, Int8Embedding(weight, kind))
        head = Int8Linear(weight, predictions.bias.data, on_cpu=place.on_cpu)
        model.set_submodule(f"{_HEAD}.decoder", head)
        return
    words.weight = _parameter(weight, kind)
    predictions.decoder.weight = words.weight
    predictions.decoder.bias = predictions.bias


def _checked(tensors: _Tensors, name: str, like: torch.Tensor) -> torch.Tensor:
    tensor = tensors.take(name)
    if tensor.shape != like.shape or not tensor.is_floating_point():
        raise ModelUnavailable(
            f"its weights give {name} the shape {tuple(tensor.shape)}, not {tuple(like.shape)}"
        )
    return tensor


def _parameter(tensor: torch.Tensor, kind: torch.dtype) -> nn.Parameter:
    return nn.Parameter(tensor.to(kind), requires_grad=False)


def _count_positions(model: nn.Module) -> None:
    """Make the one buffer that no file holds: the numbers 0, 1, 2, …."""
    for name, buffer in _empty_buffers(model):
        if not name.endswith("position_ids"):
            raise ModelUnavailable(f"this transformers wants {name}, which is not known here")
        owner = model.get_submodule(name.rpartition(".")[0])
        owner.position_ids = torch.arange(buffer.shape[-1]).expand(buffer.shape)


def _empty_buffers(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    return ((name, buffer) for name, buffer in list(model.named_buffers()) if buffer.is_meta)


class FusedAttention(nn.Module):  # type: ignore[misc] # torch is not type-checked
    """The vision part's attention without its matrix of 577 x 577 scores a head in memory.

    Stands in for transformers' BlipAttention; the same mathematics (Vaswani et al. 2017, eq. 1).
    """

    def __init__(self, plain: Any) -> None:
        super().__init__()
        self.heads = plain.num_heads
        self.qkv = plain.qkv
        self.projection = plain.projection

    def forward(self, hidden_states: torch.Tensor, **_: Any) -> tuple[torch.Tensor, None]:
        """hidden_states: (pictures, patches, width); gives the same shape."""
        count, patches, width = hidden_states.shape
        mixed = self.qkv(hidden_states).view(count, patches, 3, self.heads, width // self.heads)
        queries, keys, values = mixed.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(queries, keys, values)
        return self.projection(seen.transpose(1, 2).reshape(count, patches, width)), None
