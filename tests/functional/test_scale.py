"""The simulation of bench/scale.py agrees with what can be worked out on paper."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.scale import Costs, Plant, Simulation, demands, tables

DOCS = Path(__file__).parents[2] / "docs"
ONE_STAGE = Costs(stages={"faces": 0.074}, after={})


def test_alone_a_picture_takes_the_sum_of_all_costs() -> None:
    costs = Costs()
    plant = Plant(1, managers=1, scanners=1, brokers=1, writers=1, prefetch=1, in_flight=3)
    outcome = Simulation(costs, plant, steady=True).run(30)
    # Faces and captions start together and share the one worker; nothing else ever waits for it.
    work = sum(costs.stages.values())
    assert outcome.seconds >= work
    single = Simulation(ONE_STAGE, Plant(1, prefetch=1, in_flight=1), steady=True).run(20)
    whole = demands(ONE_STAGE, Plant(1, scanners=1, brokers=1, writers=1))
    assert single.seconds == pytest.approx(sum(whole.values()))
    assert single.rate == pytest.approx(1 / sum(whole.values()))


@pytest.mark.parametrize("workers", [1, 4, 16])
def test_a_part_is_busy_as_much_as_its_work_says(workers: int) -> None:
    """The utilisation law: busy = rate x seconds of work for each picture."""
    plant = Plant(workers, in_flight=60 + 20 * workers)
    outcome = Simulation(Costs(), plant).run(1500)
    for name, seconds in demands(Costs(), plant).items():
        assert outcome.busy[name] == pytest.approx(outcome.rate * seconds, rel=0.1, abs=0.01)


def test_twice_the_workers_do_twice_the_work_until_another_part_is_busy() -> None:
    rates = {
        n: Simulation(ONE_STAGE, Plant(n, in_flight=40 * n), steady=True).run(400)
        for n in (1, 2, 4, 32, 64)
    }
    assert rates[2].rate == pytest.approx(2 * rates[1].rate, rel=0.03)
    assert rates[4].rate == pytest.approx(4 * rates[1].rate, rel=0.03)
    assert rates[4].bottleneck == "workers"
    assert rates[64].rate == pytest.approx(rates[32].rate, rel=0.03)
    assert rates[64].bottleneck == "manager"
    most = 1 / max(demands(ONE_STAGE, Plant(64)).values())
    assert rates[64].rate == pytest.approx(most, rel=0.03)


def test_littles_law() -> None:
    """Pictures inside = rate x time inside (Little, 1961)."""
    plant = Plant(4, in_flight=240)
    outcome = Simulation(Costs(), plant).run(1600)
    assert outcome.rate * outcome.seconds == pytest.approx(240 // 3, rel=0.1)


def test_the_same_seed_gives_the_same_figures() -> None:
    first, second = (Simulation(Costs(), Plant(4, in_flight=60)).run(100) for _ in range(2))
    other = Simulation(Costs(), Plant(4, in_flight=60), seed=2).run(100)
    assert first == second
    assert other != first


def test_the_page_shows_what_the_simulation_prints() -> None:
    page = (DOCS / "scale.md").read_text()
    for title, table in tables().items():
        assert f"### {title}\n\n{table}\n" in page, "run: python -m bench scale"
