"""Reading dlib's binary form."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from caseframe.faces.dlibnet import (
    Convolution,
    Linear,
    MaxPool,
    MeanPool,
    Reader,
    Scale,
    WeightsError,
    read_network,
)
from caseframe.faces.packages import DESCRIPTOR_FILE, DETECTOR_FILE, models_folder


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"\x00", 0),
        (b"\x01\x05", 5),
        (b"\x81\x05", -5),
        (b"\x02\x00\x01", 256),
        (b"\x84\xff\xff\xff\xff", -0xFFFFFFFF),
    ],
)
def test_reads_integers(raw: bytes, value: int) -> None:
    assert Reader(raw).integer() == value


def test_reads_numbers_texts_and_tensors() -> None:
    assert Reader(b"\x01\x03\x81\x02").number() == 0.75
    assert Reader(b"\x01\x04relu").text() == "relu"
    sizes = b"\x01\x02" + b"\x01\x01" * 3 + b"\x01\x02"
    assert Reader(sizes + struct.pack("<2f", 1.5, -2)).tensor().tolist() == [1.5, -2.0]


def test_reads_the_descriptor_network() -> None:
    network = read_network((models_folder() / DESCRIPTOR_FILE).read_bytes())
    assert network.mean == pytest.approx((122.782, 117.001, 104.298), abs=1e-3)
    kinds = [type(layer) for layer in network.layers]
    assert kinds.count(Convolution) == kinds.count(Scale) == 29
    assert network.layers[3] == MaxPool((3, 3), (2, 2))
    assert network.layers[-2] == MeanPool((0, 0), (1, 1))
    last = network.layers[-1]
    assert isinstance(last, Linear)
    assert last.weights.shape == (256, 128)


def test_reads_the_detector_network() -> None:
    network = read_network((models_folder() / DETECTOR_FILE).read_bytes())
    shapes = [layer.weights.shape for layer in network.layers if isinstance(layer, Convolution)]
    assert shapes == [
        (16, 3, 5, 5),
        (32, 16, 5, 5),
        (32, 32, 5, 5),
        (45, 32, 5, 5),
        (45, 45, 5, 5),
        (45, 45, 5, 5),
        (1, 45, 9, 9),
    ]


def test_damage_in_the_structure_is_always_a_weights_error() -> None:
    good = (models_folder() / DETECTOR_FILE).read_bytes()
    start = good.index(b"input_rgb_image_")
    random = np.random.default_rng(11)
    for _ in range(300):
        bad = bytearray(good[: random.integers(start, start + 20_000)])
        bad[random.integers(start - 2, len(bad))] ^= int(random.integers(1, 256))
        with pytest.raises(WeightsError):
            read_network(bytes(bad))


@pytest.mark.parametrize("data", [b"", b"input_rgb_image_sized", b"\x01\x15input_rgb_image_sized"])
def test_what_is_no_network_is_a_weights_error(data: bytes) -> None:
    with pytest.raises(WeightsError):
        read_network(data)
