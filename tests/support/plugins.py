"""Stages of other packages, installed for one test by writing what an installer writes."""

from __future__ import annotations

from pathlib import Path

_STAGE = """
import os, signal, time
from caseframe.stages.stage import NotApplicable, StageResult

class Answer(StageResult):
    word: str = ""

class Stage:
    name = "{name}"
    title = "Test {name}"
    version = "1"
    max_side = None
    needs_picture = {needs_picture}
    after = ()
    result = Answer

    def missing(self, context):
        return None

    def prepare(self, context):
        pass

    def run(self, frame, earlier):
{body}
        return Answer(word="fine")
"""


_BATCH = """
    batch = 4

    def gather(self, frame, earlier):
        return frame.data

    def run_many(self, gathered):
        return [self.answer(data, len(gathered)) for data in gathered]

    def answer(self, data, together):
{body}
        return Answer(word=f"one of {{together}}, {{len(data)}} bytes")
"""


def install_batch(folder: Path, name: str, body: str) -> None:
    """Like `install`, for a stage that looks at several pictures at once.

    `body` starts what it does with the bytes `data` of one of `together` pictures.
    """
    install(folder, name, "return self.run_many([self.gather(frame, earlier)])[0]")
    with (folder / f"stage_{name}.py").open("a") as file:
        file.write(_BATCH.format(body=_indented(body)))


def _indented(body: str) -> str:
    return "\n".join("        " + line for line in body.strip().splitlines())


def install(folder: Path, name: str, body: str, *, needs_picture: bool = True) -> None:
    """Make a package with one stage whose `run` starts with `body`; put `folder` on the path."""
    folder.mkdir(parents=True, exist_ok=True)
    source = _STAGE.format(name=name, body=_indented(body), needs_picture=needs_picture)
    (folder / f"stage_{name}.py").write_text(source)
    register(folder, f"stage-{name}", {name: f"stage_{name}:Stage"})


def register(folder: Path, package: str, entry_points: dict[str, str]) -> None:
    """Write the metadata by which Python finds a package's entry points."""
    info = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    rows = "".join(f"{name} = {target}\n" for name, target in entry_points.items())
    (info / "entry_points.txt").write_text(f"[caseframe.stages]\n{rows}")
