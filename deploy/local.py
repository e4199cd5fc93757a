"""`deploy/local.sh`: the whole of Caseframe as services on this machine, without containers.

The folder of its state is deploy/.local, or the one that CASEFRAME_LOCAL names; the pictures are in
the folder that SOURCES names. Settings of the services come from the environment as always.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from deploy.arrangement import NAMES, Arrangement, Missing, NotReady

_ROOT = Path(__file__).parents[1]
_DEMO = _ROOT / "build" / "demo-pictures"
_NOT_FOR_SERVICES = {"CASEFRAME_LOCAL", "CASEFRAME_CASE", "CASEFRAME_CONFIG"}


def up(local: Arrangement) -> int:
    """Start what is not running, and say where it is."""
    if local.sources == _DEMO and not _DEMO.exists():
        subprocess.run([sys.executable, "-m", "caseframe", "demo", str(_DEMO)], check=True)
    if not local.sources.is_dir():
        raise Missing(f"SOURCES names {local.sources}, and there is no such folder")
    local.up(lambda name: print(f"starting {name}", flush=True))
    return url(local)


def url(local: Arrangement) -> int:
    """Where it is, and where the first administrator begins."""
    print(f"Caseframe is at {local.url}; pictures come from {local.sources}")
    link = local.first_link()
    if link is not None:
        print(f"The link that makes the administrator, good once: {link}")
    return 0


def down(local: Arrangement) -> int:
    """Stop all of it; the data stays."""
    for name in local.down():
        print(f"{name} did not end by itself and was killed")
    return 0


def status(local: Arrangement) -> int:
    """One line a part; status 1 unless all can work."""
    reasons = {name: local.ready(name) for name in NAMES}
    for name, reason in reasons.items():
        place = local.urls.get(name, "") if reason is None else ""
        print(f"{name:<14} {reason or 'ready':<12} {place}".rstrip())
    return 0 if not any(reasons.values()) else 1


def logs(local: Arrangement, name: str | None) -> int:
    """What one part said, or the last lines of all."""
    if name is not None:
        print(local.log(name), end="")
        return 0
    for one in NAMES:
        print(f"==> {local.processes.log(one)}")
        print("\n".join(local.log(one).splitlines()[-5:]))
    return 0


def restart(local: Arrangement, name: str) -> int:
    """Stop one part and start it again."""
    local.stop(name)
    local.start(name)
    local.wait_ready(name)
    return 0


def kill(local: Arrangement, name: str) -> int:
    """End one part as a crash does."""
    local.kill(name)
    return 0


_WHOLE: dict[str, Callable[[Arrangement], int]] = {
    "up": up, "down": down, "status": status, "url": url,
}  # fmt: skip
_ONE: dict[str, Callable[[Arrangement, str], int]] = {"restart": restart, "kill": kill}


def main(words: list[str]) -> int:
    """The command; status 1 when something does not work, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="deploy/local.sh", description=__doc__)
    parser.add_argument("do", choices=[*_WHOLE, "logs", *_ONE])
    parser.add_argument("name", nargs="?", choices=NAMES)
    given = parser.parse_args(words)
    if given.do in _ONE and given.name is None:
        parser.error(f"{given.do} needs the name of a part: {', '.join(NAMES)}")
    folder = Path(os.environ.get("CASEFRAME_LOCAL", _ROOT / "deploy" / ".local"))
    try:
        local = Arrangement(folder, Path(os.environ.get("SOURCES", _DEMO)), _settings())
        with open(folder / "lock", "w", encoding="utf-8") as lock:  # one at a time
            fcntl.flock(lock, fcntl.LOCK_EX)
            return _do(local, given.do, given.name)
    except (NotReady, Missing, OSError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1


def _do(local: Arrangement, what: str, name: str | None) -> int:
    if what == "logs":
        return logs(local, name)
    return _ONE[what](local, name) if name is not None and what in _ONE else _WHOLE[what](local)


def _settings() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith("CASEFRAME_") and name not in _NOT_FOR_SERVICES
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
