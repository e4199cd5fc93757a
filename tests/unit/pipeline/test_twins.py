"""Near duplicates: the groups that comparing every pair would find."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caseframe.pipeline import twins


def flipped(hash_: bytes, bits: int, dice: random.Random) -> bytes:
    value = int.from_bytes(hash_, "big")
    for bit in dice.sample(range(256), bits):
        value ^= 1 << bit
    return value.to_bytes(32, "big")


def all_pairs(hashes: list[bytes], distance: int) -> set[tuple[int, int]]:
    numbers = [int.from_bytes(h, "big") for h in hashes]
    return {
        (a, b)
        for a in range(len(numbers))
        for b in range(a + 1, len(numbers))
        if (numbers[a] ^ numbers[b]).bit_count() <= distance
    }


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), distance=st.sampled_from([0, 1, 15, 16, 31, 32, 40]))
def test_no_pair_within_the_distance_is_missed(seed: int, distance: int) -> None:
    dice = random.Random(seed)
    hashes = [dice.randbytes(32) for _ in range(20)]
    for _ in range(40):
        hashes.append(flipped(dice.choice(hashes), dice.randrange(50), dice))
    found = {
        (int(a), int(b))
        for left, right in twins.near_pairs(twins.pack(hashes), distance)
        for a, b in zip(left, right, strict=True)
    }
    assert found == all_pairs(hashes, distance)


def test_groups_are_linked_by_steps() -> None:
    dice = random.Random(1)
    first, lone = dice.randbytes(32), dice.randbytes(32)
    second = flipped(first, 30, dice)
    hashes = [first, lone, second, flipped(second, 20, dice), first]
    assert twins.groups(twins.pack(hashes), 31) == [[0, 2, 3, 4]]
    assert twins.groups(twins.pack(hashes), 0) == [[0, 4]]


def linked(hashes: list[bytes], distance: int) -> list[list[int]]:
    """What `groups` promises, from all pairs."""
    label = list(range(len(hashes)))
    for a, b in all_pairs(hashes, distance):
        low, high = sorted((label[a], label[b]))
        label = [low if one == high else one for one in label]
    found = [[at for at, one in enumerate(label) if one == wanted] for wanted in range(len(label))]
    return sorted(members for members in found if len(members) > 1)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), distance=st.sampled_from([0, 1, 16, 31, 48, 63]))
def test_groups_are_those_of_all_pairs(seed: int, distance: int) -> None:
    """Chains, equal hashes and crowds of near ones, in any order."""
    dice = random.Random(seed)
    hashes = [dice.randbytes(32) for _ in range(6)]
    for _ in range(60):
        hashes.append(flipped(dice.choice(hashes), dice.choice([0, 0, 1, 8, 20, 31, 40]), dice))
    dice.shuffle(hashes)
    assert twins.groups(twins.pack(hashes), distance) == linked(hashes, distance)


def test_no_hashes_are_no_groups() -> None:
    assert twins.groups(twins.pack([]), 31) == []


@pytest.mark.parametrize("most_flipped", [0, 8])
def test_a_camera_that_stands_still_does_not_cost_all_pairs(
    most_flipped: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = 0

    def counted(*arguments: Any) -> tuple[twins.Indices, twins.Indices]:
        nonlocal compared
        found = expand(*arguments)
        compared += len(found[0])
        return found

    expand = twins._expand
    monkeypatch.setattr(twins, "_expand", counted)
    monkeypatch.setattr(twins, "_BLOCK", 10_000)
    dice = random.Random(2)
    one = dice.randbytes(32)
    frames = [flipped(one, dice.randint(0, most_flipped), dice) for _ in range(600)]
    assert twins.groups(twins.pack(frames), 31) == [list(range(600))]
    assert compared <= 600 * 600 / 2


def test_blocks_stay_bounded_when_all_hashes_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twins, "_BLOCK", 100)
    hashes = twins.pack([bytes(32)] * 60)
    sizes = [len(left) for left, _ in twins.near_pairs(hashes, 0)]
    assert max(sizes) <= 160
    assert twins.groups(hashes, 0) == [list(range(60))]


def test_distances() -> None:
    one = bytes(32)
    hashes = twins.pack([one, b"\xff" * 32, b"\x01" + bytes(31)])
    assert np.array_equal(twins.distances(hashes, one), [0, 256, 1])
