"""Writes the pages that come from the code: `make docs`. A test fails when one is out of date."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import typer
from prometheus_client import CollectorRegistry, Metric

from caseframe.catalog.search import FIELDS
from caseframe.cli.main import build
from caseframe.cli.service_auth import counted
from caseframe.cli.service_jobs import Families
from caseframe.cli.service_vision import AtWork
from caseframe.domain.evidence import FileState
from caseframe.domain.work import TaskState
from caseframe.pipeline.exchange import Metrics
from caseframe.pipeline.station import StationMetrics
from caseframe.settings import Settings
from caseframe.stages.registry import load_stages
from caseframe.web.metrics import REGISTRY

_HERE = Path(__file__).parent
_MADE = "<!-- Made from the code by `make docs`; change it there. -->\n"
_FILE_STATES = {
    FileState.PICTURE: "a picture that decodes fully (which is not a proof that nobody touched it)",
    FileState.NOT_A_PICTURE: (
        "something else; its type is recorded, the extension of a picture noted; links and pipes "
        "are not read"
    ),
    FileState.UNREADABLE: "the system would not give its bytes; tried again at the next scan",
    FileState.CORRUPT: "a picture with damage; digests, and whatever could be read, are kept",
    FileState.OVER_LIMIT: "a picture over the limits, or that killed its worker; not decoded",
}
_TASK_STATES = {
    TaskState.PENDING: "due, not begun",
    TaskState.DONE: "the stage looked; `found` says whether there was anything",
    TaskState.FAILED: "the stage could not tell, and says why; `caseframe rerun` tries again",
    TaskState.UNAVAILABLE: "the stage cannot work on this machine; due as soon as it can",
}


def settings() -> str:
    """The table of all settings."""
    rows = [
        (
            f"`CASEFRAME_{name.upper()}`",
            _default(field),
            (field.description or "").replace("|", "\\|"),
        )
        for name, field in Settings.model_fields.items()
    ]
    return (
        f"# Settings\n\n{_MADE}\n"
        "A setting comes from the command line, else from the environment (the names below), else\n"
        "from `caseframe.toml` in the working folder (lower case, without the prefix; another\n"
        "file by `CASEFRAME_CONFIG`), else from the default.\n"
        "`CASEFRAME_CASE` names the case folder.\n\n"
        + _table(("Environment", "Default", "What it does"), rows)
    )


def _default(field: Any) -> str:
    if field.default_factory is not None:
        return "by the machine"
    return "not set" if field.default is None else f"`{field.default}`"


def stages() -> str:
    """The built-in stages, and the states of files and tasks."""
    rows = [
        (
            f"`{a.stage.name}`",
            a.stage.title,
            a.stage.version,
            f"pixels, at most {a.stage.max_side} a side" if a.stage.max_side else "bytes",
            ", ".join(f"`{base}`" for base in a.stage.after) or "nothing",
            " ".join((type(a.stage).__doc__ or "").split()),
        )
        for a in load_stages().stages
        if a.source == "caseframe"
    ]
    heads = ("Name", "Title", "Version", "Needs", "After", "What it does")
    return (
        f"# Stages and states\n\n{_MADE}\n{_table(heads, rows)}\n"
        "How to add one: [Add a stage](add-a-stage.md).\n\n"
        "## States of a file\n\n"
        + _table(("State", "Meaning"), [(f"`{k}`", v) for k, v in _FILE_STATES.items()])
        + "\n## States of a task\n\nA task is one picture, one stage, one version of the stage.\n\n"
        + _table(("State", "Meaning"), [(f"`{k}`", v) for k, v in _TASK_STATES.items()])
    )


def commands() -> str:
    """Every command with its options."""
    group = typer.main.get_command(build([]))
    parts = [f"# Commands\n\n{_MADE}"]
    for name, command in _all_commands("caseframe", group):
        parts.append(f"\n## {name}\n\n{_unwrapped(command.help)}\n")
        rows = [_option(parameter) for parameter in command.params]
        if rows:
            parts.append("\n" + _table(("Option", "Default", "What it does"), rows))
    parts.append(
        "\n## Choosing pictures: `--where`\n\nAll conditions given must hold.\n\n"
        + _table(("Condition", "Meaning"), [(f"`{f.name}=…`", f.help) for f in FIELDS])
    )
    parts.append(
        "\n## Exit status\n\n"
        "- 0: the work ran to its end; problems with single files are counted and printed.\n"
        "- 1: it could not; one line on standard error says why and what to do.\n"
        "- 2: wrong usage.\n"
    )
    return "".join(parts)


def _all_commands(name: str, group: Any) -> Iterator[tuple[str, Any]]:
    """Every command below a group with its whole name, the groups themselves included."""
    for own, command in group.commands.items():
        yield f"{name} {own}", command
        if hasattr(command, "commands"):
            yield from _all_commands(f"{name} {own}", command)


def metrics() -> str:
    """What the services count, for Prometheus."""
    rows = sorted(
        (f"`{family.name}`", family.type, service, family.documentation)
        for service, families in _metrics().items()
        for family in families
    )
    return (
        f"# Metrics\n\n{_MADE}\n"
        "Every service answers `/metrics` at its health door, the gateway at its own port (with\n"
        "the token of an administrator, or the one of the setting `metrics_token`, as does\n"
        "`caseframe serve`: see [Watching](deploy.md#watching)). Counters end in `_total` there,\n"
        "histograms in `_bucket`, `_sum` and `_count`.\n\n"
        + _table(("Metric", "Kind", "Service", "What it says"), rows)
    )


def _metrics() -> dict[str, Iterable[Metric]]:
    jobs, stage, vision, auth = (CollectorRegistry() for _ in range(4))
    Metrics(jobs)
    StationMetrics(stage)
    AtWork(vision)
    counted(lambda _request: None, auth)
    return {
        "jobs": [*jobs.collect(), *Families()],
        "stage": stage.collect(),
        "vision": vision.collect(),
        "auth": auth.collect(),
        "gateway": REGISTRY.collect(),
    }


def _unwrapped(text: str | None) -> str:
    paragraphs = (text or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _option(parameter: Any) -> tuple[str, str, str]:
    names = ", ".join(parameter.opts) if parameter.param_type_name == "option" else parameter.name
    default = parameter.default
    shown = "" if default in (None, False, ...) or callable(default) else f"`{default}`"
    return f"`{names}`", shown, (getattr(parameter, "help", "") or "").replace("|", "\\|")


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings,
    "stages.md": stages,
    "commands.md": commands,
    "metrics.md": metrics,
}

if __name__ == "__main__":
    for page, write in PAGES.items():
        (_HERE / page).write_text(write(), encoding="utf-8")
