"""Read the networks that dlib stores in its own binary form (`serialize()` of a `loss_*` network).

The form, as far as these files use it:

- An integer is one head byte (low four bits: how many bytes follow; top bit: negative), then the
  magnitude, least significant byte first.
- A floating-point number is two such integers, mantissa and exponent: mantissa * 2 ** exponent.
- A string is its length as an integer, then its bytes. A bool is the character 0 or 1.
- A tensor is the integer 2 (its version), four integers (samples, channels, rows, columns), then
  raw little-endian float32 values.
- Layers stand in the order in which data flows. Each is its name, its own fields, three bools and
  three empty work tensors; the first one also has an integer (the sample expansion factor).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_INPUT = b"input_rgb_image_"
_TENSOR_VERSION = 2
_SIZED = "input_rgb_image_sized"


class WeightsError(ValueError):
    """The bytes are not a network of the kind this module reads."""


@dataclass(frozen=True, slots=True)
class Convolution:
    """Weights (out, in, rows, columns), bias (out,), strides and zero padding (rows, columns)."""

    weights: Floats
    bias: Floats
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Scale:
    """Frozen batch normalisation: x * gamma + beta for each channel."""

    gamma: Floats
    beta: Floats


@dataclass(frozen=True, slots=True)
class Relu:
    """max(x, 0)."""


@dataclass(frozen=True, slots=True)
class Add:
    """Close a residual block: add what entered it (average-pooled if the block has a MeanPool)."""


@dataclass(frozen=True, slots=True)
class MaxPool:
    """Largest value of each window; no padding."""

    window: tuple[int, int]
    stride: tuple[int, int]


@dataclass(frozen=True, slots=True)
class MeanPool:
    """Mean of each window; a window of (0, 0) means the whole plane."""

    window: tuple[int, int]
    stride: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Linear:
    """Weights (in, out); y = x @ weights, no bias."""

    weights: Floats


Layer = Convolution | Scale | Relu | Add | MaxPool | MeanPool | Linear


@dataclass(frozen=True, slots=True)
class Network:
    """Mean colour (red, green, blue in 0..255) taken off the input, and the layers in order."""

    mean: tuple[float, float, float]
    layers: tuple[Layer, ...]


def read_network(data: bytes) -> Network:
    """Read a network from the bytes of a dlib `.dat` file.

    Raises WeightsError when the bytes end early or hold anything not known here.
    """
    try:
        return _network(data)
    except WeightsError:
        raise
    except (ArithmeticError, IndexError, ValueError) as error:
        raise WeightsError(f"unreadable layer: {error}") from error


def _network(data: bytes) -> Network:
    # What stands before the input layer belongs to the training loss, which nobody needs here.
    # The input layer's name is preceded by its length in two bytes.
    start = data.find(_INPUT) - 2
    if start < 0:
        raise WeightsError("no RGB input layer")
    reader = Reader(data, start)
    kind = reader.text()
    red, green, blue = (reader.number() for _ in range(3))
    if kind == _SIZED:
        reader.integers(2)
    layers = [_layer(reader)]
    reader.integer()
    while not reader.at_end():
        layers.append(_layer(reader))
    return Network((red, green, blue), tuple(layers))


class Reader:
    """Reads dlib's serialised values one after another from bytes."""

    def __init__(self, data: bytes, position: int = 0) -> None:
        """Start at a byte position of the data."""
        self._data = data
        self.position = position

    def at_end(self) -> bool:
        """Whether all bytes were read."""
        return self.position >= len(self._data)

    def take(self, count: int) -> bytes:
        """Read raw bytes. Raises WeightsError when fewer are left."""
        piece = self._data[self.position : self.position + count]
        if len(piece) != count:
            raise WeightsError(f"ends early, at byte {len(self._data)}")
        self.position += count
        return piece

    def integer(self) -> int:
        """Read one integer."""
        head = self.take(1)[0]
        value = int.from_bytes(self.take(head & 0x0F), "little")
        return -value if head & 0x80 else value

    def integers(self, count: int) -> tuple[int, ...]:
        """Read several integers."""
        return tuple(self.integer() for _ in range(count))

    def number(self) -> float:
        """Read one floating-point number."""
        mantissa = self.integer()
        return mantissa * 2.0 ** self.integer()

    def text(self) -> str:
        """Read a string."""
        return self.take(self.integer()).decode("ascii")

    def tensor(self) -> Floats:
        """Read a tensor, flat."""
        if self.integer() != _TENSOR_VERSION:
            raise WeightsError(f"not a tensor at byte {self.position}")
        raw = self.take(4 * prod(self.integers(4)))
        return np.frombuffer(raw, "<f4").astype(np.float32)

    def shape(self) -> tuple[int, ...]:
        """Read the shape of a part of a tensor: a version, then four sizes."""
        return self.integers(5)[1:]

    def numbers(self, count: int) -> None:
        """Skip numbers that only training uses."""
        for _ in range(count):
            self.number()


def _layer(reader: Reader) -> Layer:
    name = reader.text()
    if name not in _READERS:
        raise WeightsError(f"unknown layer {name!r} at byte {reader.position}")
    layer = _READERS[name](reader)
    flags = reader.take(3)
    if set(flags) - set(b"01"):
        raise WeightsError(f"bad flags at byte {reader.position}")
    for _ in range(3):
        reader.tensor()
    return layer


def _convolution(reader: Reader) -> Convolution:
    values = reader.tensor()
    _, _, _, stride_y, stride_x, pad_y, pad_x = reader.integers(7)
    shape = reader.shape()
    reader.shape()
    reader.numbers(4)
    count = prod(shape)
    if len(values) != count + shape[0]:
        raise WeightsError(f"convolution of {shape} with {len(values)} weights")
    weights = values[:count].reshape(shape)
    return Convolution(weights, values[count:], (stride_y, stride_x), (pad_y, pad_x))


def _affine(reader: Reader) -> Scale:
    gamma, beta = np.split(reader.tensor(), 2)
    reader.shape()
    reader.shape()
    reader.integer()
    return Scale(gamma, beta)


def _batch_norm(reader: Reader) -> Scale:
    gamma, beta = np.split(reader.tensor().astype(np.float64), 2)
    reader.shape()
    reader.shape()
    _, _, means, variances = (reader.tensor() for _ in range(4))
    reader.integers(2)
    reader.numbers(4)
    # y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, with the running statistics.
    factor = gamma / np.sqrt(variances + reader.number())
    return Scale(factor.astype(np.float32), (beta - means * factor).astype(np.float32))


def _pool(reader: Reader) -> tuple[tuple[int, int], tuple[int, int]]:
    rows, columns, stride_y, stride_x, pad_y, pad_x = reader.integers(6)
    if pad_y or pad_x:
        raise WeightsError("padded pooling")
    return (rows, columns), (stride_y, stride_x)


def _linear(reader: Reader) -> Linear:
    outputs, inputs = reader.integers(2)
    values = reader.tensor()
    reader.shape()
    reader.shape()
    reader.integer()
    reader.numbers(4)
    if len(values) != inputs * outputs:
        raise WeightsError(f"linear layer of {inputs} x {outputs} with {len(values)} weights")
    return Linear(values.reshape(inputs, outputs))


_READERS: dict[str, Callable[[Reader], Layer]] = {
    "con_4": _convolution,
    "affine_": _affine,
    "bn_con2": _batch_norm,
    "relu_": lambda _: Relu(),
    "add_prev_": lambda _: Add(),
    "max_pool_2": lambda reader: MaxPool(*_pool(reader)),
    "avg_pool_2": lambda reader: MeanPool(*_pool(reader)),
    "fc_2": _linear,
}
