"""The part of constraints.txt that an installation needs, with its hashes, for pip to install.

`python deploy/locked.py --extras faces` is for Caseframe itself, `deploy/locked.py hatchling` for a
tool. pip says what is needed (it resolves and installs nothing); packages whose hash is not in
constraints.txt (PyTorch, which has one build for each kind of accelerator) are left out and named.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_APART = {"torch"}


def entries(text: str) -> dict[str, str]:
    """The requirements of a constraints file with their hashes, by normalised name.

    A package with several versions for several Pythons has them one below the other.
    """
    found: dict[str, str] = {}
    for part in re.split(r"\n(?=\S)", text.strip()):
        name = _normal(re.split(r"[=\[ ;]", part, maxsplit=1)[0])
        found[name] = f"{found[name]}\n{part}" if name in found else part
    return found


def wanted(project: str, extras: list[str]) -> list[str]:
    """What pyproject.toml asks for with these extras. Raises KeyError for an unknown extra."""
    found = tomllib.loads(project)["project"]
    asked = [*found["dependencies"]]
    for extra in extras:
        asked += found["optional-dependencies"][extra]
    return [
        one for one in asked if _normal(re.split(r"[<>=!~\[ ;]", one, maxsplit=1)[0]) not in _APART
    ]


def resolve(requirements: list[str], locked: Mapping[str, str]) -> list[str]:
    """Names of all packages that an installation would hold. Raises CalledProcessError."""
    with tempfile.TemporaryDirectory() as folder:
        versions, report = Path(folder) / "versions.txt", Path(folder) / "report.json"
        # Without hashes: with any, pip refuses whatever is not pinned at the first look.
        pins = [re.sub(r"\s*\\?\n\s+--hash=\S+", "", part) for part in locked.values()]
        versions.write_text("\n".join(pins) + "\n")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run"]
        command += ["--ignore-installed", "--no-build-isolation", "--report", str(report)]
        command += ["--constraint", str(versions), *requirements]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found = json.loads(report.read_text())["install"]
    return [_normal(one["metadata"]["name"]) for one in found]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def main(words: list[str]) -> int:
    """The command: prints a requirements file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(",")[0])
    parser.add_argument("--extras", help="extras of Caseframe, with commas; may be empty")
    parser.add_argument("packages", nargs="*")
    given = parser.parse_args(words)
    asked = list(given.packages)
    if given.extras is not None:
        extras = [one.strip() for one in given.extras.split(",") if one.strip()]
        asked += wanted((_ROOT / "pyproject.toml").read_text(), extras)
    locked = entries((_ROOT / "constraints.txt").read_text())
    for name in sorted(resolve(asked, locked)):
        if name in locked:
            print(locked[name])
        else:
            print(f"left out, since constraints.txt has no hash of it: {name}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
