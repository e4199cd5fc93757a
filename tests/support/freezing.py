"""A broker that falls silent: what is sent to it is taken, and nothing comes back."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit


class FreezingBroker:
    """Stands before a RabbitMQ and can stop to pass anything on; connections stay open."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._there = parts.hostname or "", parts.port or 5672
        self._thawed = threading.Event()
        self._thawed.set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._take, daemon=True)]
        port = self._listening.getsockname()[1]
        account = parts.netloc.rpartition("@")[0]
        self.url = parts._replace(netloc=f"{account}@127.0.0.1:{port}").geturl()

    def freeze(self) -> None:
        self._thawed.clear()

    def thaw(self) -> None:
        self._thawed.set()

    def _take(self) -> None:
        with suppress(OSError):
            while True:
                ours, _ = self._listening.accept()
                self._ends.append(ours)
                self._ends.append(theirs := socket.create_connection(self._there))
                for ends in ((ours, theirs), (theirs, ours)):
                    passing = threading.Thread(target=self._pass_on, args=ends, daemon=True)
                    passing.start()
                    self._threads.append(passing)

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._thawed.wait()
                target.sendall(data)
        _shut(source, target)

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.thaw()
        _shut(self._listening)
        self._threads[0].join()  # from here on there is nobody new
        _shut(*self._ends)
        for thread in self._threads:
            thread.join()
        for end in (self._listening, *self._ends):
            end.close()


def _shut(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
