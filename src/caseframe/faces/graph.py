"""Turn a network read from a dlib file into an ONNX graph for ONNX Runtime.

Input `rgb`: uint8 (1, rows, columns, 3). Output `out`: float32. The batch normalisation and the
input's scaling are folded into the convolutions, so the graph holds nothing but the costly work.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from caseframe.faces.dlibnet import (
    Add,
    Convolution,
    Floats,
    Layer,
    Linear,
    MaxPool,
    MeanPool,
    Network,
    Relu,
    Scale,
    WeightsError,
)

# dlib's input_rgb_image layers compute (value - mean) / 256.
_INPUT_DIVISOR = 256.0
_OPSET = 17
_IR_VERSION = 8

Size = tuple[int, int]


def build(network: Network, size: Size | None) -> bytes:
    """Return the ONNX model of a network, serialised.

    size: rows and columns of the input when they are always the same, which residual blocks need;
    None leaves them open. Raises WeightsError when the layers do not fit together.
    """
    graph = _Graph(size)
    for layer in _folded(network):
        graph.add(layer)
    return graph.model()


def _folded(network: Network) -> Iterator[Layer]:
    """Yield the layers with every Scale, and the input's own scaling, folded into convolutions."""
    held: Convolution | None = None
    first = True
    for layer in network.layers:
        if isinstance(layer, Scale):
            if held is None:
                raise WeightsError("a scale that follows no convolution")
            held = _scaled(held, layer)
            continue
        if held is not None:
            yield held
            held = None
        if isinstance(layer, Convolution):
            held = _with_input(layer, network.mean) if first else layer
            first = False
        else:
            yield layer
    if held is not None:
        yield held


def _scaled(conv: Convolution, scale: Scale) -> Convolution:
    gamma = scale.gamma.astype(np.float64)
    weights = conv.weights * gamma[:, None, None, None]
    bias = conv.bias * gamma + scale.beta
    return Convolution(
        weights.astype(np.float32), bias.astype(np.float32), conv.stride, conv.padding
    )


def _with_input(conv: Convolution, mean: tuple[float, float, float]) -> Convolution:
    # w * (x - m) / 256 + b = (w / 256) * x + (b - sum(w * m) / 256). Exact only without padding,
    # as padding is zero after the subtraction.
    if any(conv.padding):
        raise WeightsError("the first convolution is padded")
    weights = conv.weights.astype(np.float64) / _INPUT_DIVISOR
    shift = (weights * np.array(mean)[None, :, None, None]).sum(axis=(1, 2, 3))
    bias = (conv.bias - shift).astype(np.float32)
    return Convolution(weights.astype(np.float32), bias, conv.stride, conv.padding)


class _Graph:
    """Nodes so far, the name of the value that flows on, and its shape where that is known."""

    def __init__(self, size: Size | None) -> None:
        self._size = size
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._value = "rgb"
        self._channels = 3
        self._plane = size
        self._node("Cast", to=TensorProto.FLOAT)
        self._node("Transpose", perm=[0, 3, 1, 2])
        self._block = (self._value, self._channels, self._plane)
        self._pooled: MeanPool | None = None
        self._after_add = False

    def add(self, layer: Layer) -> None:
        """Append one layer."""
        match layer:
            case Convolution():
                self._convolution(layer)
            case Relu():
                self._node("Relu")
                if self._after_add:
                    self._open_block()
            case MaxPool():
                self._pool("MaxPool", layer)
                self._open_block()
            case MeanPool(window=(0, 0)):
                self._node("GlobalAveragePool")
                self._node("Flatten")
            case MeanPool():
                # dlib pools the block's input, though it writes the pooling after its convolutions.
                self._pooled = layer
            case Add():
                self._close_block()
            case Linear():
                self._node("MatMul", self._constant(layer.weights))
            case _:
                raise WeightsError(f"no place for {type(layer).__name__}")
        self._after_add = isinstance(layer, Add)

    def model(self) -> bytes:
        """Return the finished model."""
        self._nodes[-1].output[0] = "out"
        rows, columns = self._size or ("rows", "columns")
        given = helper.make_tensor_value_info("rgb", TensorProto.UINT8, [1, rows, columns, 3])
        out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
        graph = helper.make_graph(self._nodes, "faces", [given], [out], self._constants)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION
        )
        return bytes(model.SerializeToString())

    def _convolution(self, layer: Convolution) -> None:
        pads = [*layer.padding, *layer.padding]
        self._node(
            "Conv",
            self._constant(layer.weights),
            self._constant(layer.bias),
            strides=list(layer.stride),
            pads=pads,
        )
        self._channels = len(layer.weights)
        rows, columns = layer.weights.shape[2:]
        padded = (rows - 2 * layer.padding[0], columns - 2 * layer.padding[1])
        self._shrink(padded, layer.stride)

    def _pool(self, operation: str, layer: MaxPool | MeanPool) -> None:
        self._node(operation, kernel_shape=list(layer.window), strides=list(layer.stride))
        self._shrink(layer.window, layer.stride)

    def _open_block(self) -> None:
        self._block = (self._value, self._channels, self._plane)
        self._pooled = None

    def _close_block(self) -> None:
        main, main_channels, main_plane = self._value, self._channels, self._plane
        self._value, self._channels, self._plane = self._block
        if self._pooled is not None:
            self._pool("AveragePool", self._pooled)
        if main_plane is None or self._plane is None:
            raise WeightsError("a residual block needs a fixed input size")
        # dlib adds tensors of different sizes as if each were filled up with zeros.
        channels = max(main_channels, self._channels)
        plane = (max(main_plane[0], self._plane[0]), max(main_plane[1], self._plane[1]))
        self._fill(channels, plane)
        skip = self._value
        self._value, self._channels, self._plane = main, main_channels, main_plane
        self._fill(channels, plane)
        self._node("Add", skip)

    def _fill(self, channels: int, plane: Size) -> None:
        rows, columns = self._plane or plane
        more = (channels - self._channels, plane[0] - rows, plane[1] - columns)
        if any(more):
            pads = np.array([0, 0, 0, 0, 0, *more], np.int64)
            self._node("Pad", self._constant(pads))
        self._channels, self._plane = channels, plane

    def _shrink(self, window: Size, stride: Size) -> None:
        if self._plane is not None:
            rows, columns = self._plane
            self._plane = (
                (rows - window[0]) // stride[0] + 1,
                (columns - window[1]) // stride[1] + 1,
            )

    def _constant(self, values: Floats | np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> str:
        name = f"constant{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _node(self, operation: str, *others: str, **attributes: object) -> None:
        out = f"value{len(self._nodes)}"
        node = helper.make_node(operation, [self._value, *others], [out], **attributes)
        self._nodes.append(node)
        self._value = out
