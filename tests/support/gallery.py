"""A job of 120 pictures that differ in all that a gallery asks about."""

from __future__ import annotations

import random

from tests.support.outcomes import done, outcome

from caseframe.catalog import jobs
from caseframe.catalog.database import Catalog
from caseframe.catalog.recording import record
from caseframe.domain.facts import Camera, Capture, Face, Facts, PerceptualHash, Place, Text
from caseframe.domain.work import Outcome


def facts_of(number: int) -> Facts:
    rng = random.Random(number)
    words = [rng.choice(["red", "blue"]), rng.choice(["boat", "house"])]
    words += ["zeppelin"] if number % 40 == 0 else []
    taken = (
        Capture(f"20{rng.randrange(10):02}-0{1 + number % 9}-11T10:00:00") if number % 3 else None
    )
    where = Place(rng.uniform(-1, 1), 180.0 if number % 2 else -180.0, country="Fiji", town="Suva")
    return Facts(
        capture=taken,
        camera=Camera("NIKON", "D750") if number % 4 == 0 else Camera("Canon", "EOS"),
        place=where if number % 5 == 0 else None,
        texts=(Text("caption", " ".join(words)),),
        faces=(Face(1, 2, 3, 4, 0.5),) * (number % 3),
        perceptual_hash=PerceptualHash(bytes([number % 2]) * 32, 90),
    )


def outcome_of(number: int) -> Outcome:
    content = b"%d" % number
    stage = done("exif", facts=facts_of(number))
    return outcome(b"d%d/IMG%d.jpg" % (number % 3, number), content, stage, size=number % 7)


def a_job(catalog: Catalog) -> str:
    """120 pictures in one job."""
    with catalog.begin() as connection:
        made = jobs.create_job(connection, "a job", b"/source", ("exif",)).id
        numbers = list(range(120))
        random.Random(1).shuffle(numbers)
        record(connection, made, [outcome_of(number) for number in numbers])
    return made
