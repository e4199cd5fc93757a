"""8-bit weights: one scale for each output of a layer, one for each row of its input.

Symmetric, absolute-maximum quantization (Jacob et al. 2018, section 2, with zero point 0). Inputs
are quantized row by row as they come, so no picture changes the scale of its neighbour in a batch.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import nn
from torch.nn import functional

_MOST = 127.0
# One step of room: with a scale that was rounded to bfloat16, the largest quotient may come out 0.5
# higher, and more than 127 would turn into a negative number.
_MOST_OF_ROWS = 126.0
# Rows travel as unsigned bytes around this zero point: the vector instructions multiply unsigned by
# signed bytes, and signed rows take a path in oneDNN that is a hundred times slower without AMX.
_ZERO = 128
_LEAST = 1e-12  # an output without weights has to have some scale


@cache
def largest_exact() -> int:
    """How large weights may be for this CPU's integer product to be exact; 0 where it never is.

    Instruction sets without VNNI add two products in 16 bits, which overflow with weights of the
    full 8 bits and not with those of 7 (oneDNN, "Nuances of int8 computations").
    """
    if "onednn" not in torch.backends.quantized.supported_engines:
        return 0
    rows = torch.full((2, 64), _MOST_OF_ROWS)
    rows[1] = -_MOST_OF_ROWS
    unsigned = (rows + _ZERO).to(torch.uint8)
    for most in (127, 64):
        weights = torch.full((16, 64), most, dtype=torch.int8)
        weights[1::2] = -most
        exact = rows @ weights.float().t()
        if torch.equal(_product(unsigned, _packed(weights), torch.ones(16), torch.float32), exact):
            return most
    return 0


def _packed(weights: torch.Tensor) -> torch.Tensor:
    """Laid out for the instructions of this processor; no longer a plain tensor then."""
    packed: torch.Tensor = torch.ops.onednn.qlinear_prepack(weights, None)
    return packed


def _product(
    rows: torch.Tensor, packed: torch.Tensor, scale: torch.Tensor, kind: torch.dtype
) -> torch.Tensor:
    """Rows (n, inputs), unsigned around `_ZERO`, times packed weights: (n, outputs).

    Each output is multiplied with its scale.
    """
    zero = torch.zeros(scale.shape[0], dtype=torch.int32)
    product: torch.Tensor = torch.ops.onednn.qlinear_pointwise(
        rows, 1.0, _ZERO, packed, scale, zero, None, 1.0, 0, kind, "none", [], ""
    )
    return product


def quantized(weight: torch.Tensor, most: float = _MOST) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (outputs, inputs) as int8 of at most `most`, and the float32 scale of each output."""
    scale = weight.float().abs().amax(dim=1).clamp_(min=_LEAST) / most
    return torch.round(weight.float() / scale[:, None]).to(torch.int8), scale


def _rows(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows (n, inputs) as uint8 around `_ZERO`, and the scale of each row, shape (n, 1)."""
    least = 128 * torch.finfo(x.dtype).tiny  # a row of zeros keeps a scale that is not zero
    scale = x.abs().amax(dim=-1, keepdim=True).clamp_(min=least).div_(_MOST_OF_ROWS)
    return x.div(scale).round_().add_(_ZERO).to(torch.uint8), scale  # exact in bfloat16 up to 256


class Int8Linear(nn.Module):  # type: ignore[misc] # torch is not type-checked
    """A linear layer of int8 weights; takes and gives what floating type it is given.

    On a CPU the product is computed in integers by oneDNN where that is exact, else in floating
    point from weights that are spread out again each time: small, and not fast.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, *, on_cpu: bool) -> None:
        super().__init__()
        self.outputs, self.inputs = weight.shape
        most = largest_exact() if on_cpu else 0
        values, scale = quantized(weight, most or _MOST)
        self.register_buffer("scale", scale)
        self.register_buffer("bias", bias)
        self._packed = _packed(values) if most else None
        self.register_buffer("values", None if most else values)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (…, inputs) to (…, outputs)."""
        if self._packed is None:
            weight = self.values.to(x.dtype) * self.scale.to(x.dtype)[:, None]
            return functional.linear(x, weight, self.bias)
        rows, scale = _rows(x.reshape(-1, self.inputs))
        y = _product(rows, self._packed, self.scale, x.dtype)
        y = y * scale if self.bias is None else torch.addcmul(self.bias, y, scale)
        return y.view(*x.shape[:-1], self.outputs)


class Int8Embedding(nn.Module):  # type: ignore[misc]
    """Word vectors in int8, one scale a word."""

    def __init__(self, weight: torch.Tensor, kind: torch.dtype) -> None:
        super().__init__()
        values, scale = quantized(weight)
        self.register_buffer("values", values)
        self.register_buffer("scale", scale)
        self._kind = kind

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        """Numbers of words (…) to vectors (…, width)."""
        return (self.values[words].float() * self.scale[words][..., None]).to(self._kind)
