"""Whether secrets stand in command lines, logs or dead letters."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import psutil
from deploy.arrangement import Arrangement
from tests.support.chaos import Scene
from tests.support.services import secrets_of

_TOKEN = re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}")


class CommandLines:
    """All command lines that were seen on this machine while the block lasted."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="command lines")

    @contextmanager
    def watched(self) -> Iterator[CommandLines]:
        """Look again and again."""
        self._thread.start()
        try:
            yield self
        finally:
            self._end.set()
            self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(0.5):
            for one in psutil.process_iter(["cmdline"]):
                self.seen.add(" ".join(one.info["cmdline"] or ()))


def given_away(made: Arrangement, texts: Iterable[tuple[str, str]]) -> list[str]:
    """Which secrets and whole tokens stand in these texts; each text has a name."""
    secrets = secrets_of(made)
    found = []
    for place, text in texts:
        found += [f"{name} in {place}" for name, secret in secrets.items() if secret in text]
        found += [f"a token in {place}: {token[:12]}…" for token in _TOKEN.findall(text)]
    return found


def spoken(made: Arrangement) -> Iterator[tuple[str, str]]:
    """The logs of all parts."""
    for name in made.names:
        yield f"the log of {name}", made.log(name)


def dead_bodies(scene: Scene) -> Iterator[tuple[str, str]]:
    """The dead letters' bodies; their headers hold the token that a second try needs."""
    for letter in scene.dead_letters().list():
        yield f"a dead letter of {letter.queue}", letter.body.decode("utf-8", "replace")
