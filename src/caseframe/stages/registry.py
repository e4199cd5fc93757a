"""Finding stages: the built-in ones and those that other packages bring by entry point.

A stage that cannot be loaded is kept with its reason, for the log and for wherever stages are
listed, and stops no other.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.metadata import entry_points

from caseframe.domain.errors import UsageError
from caseframe.domain.external import ExternalStage
from caseframe.domain.text import one_line
from caseframe.stages.builtin import BUILTIN
from caseframe.stages.stage import BatchStage, Stage, StageContext

ENTRY_POINT_GROUP = "caseframe.stages"


@dataclass(frozen=True, slots=True)
class Available:
    """A stage that was loaded; `reason` says why it cannot work here, None when it can."""

    stage: Stage
    source: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Unloadable:
    """A stage whose code could not be loaded at all."""

    name: str
    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Registry:
    """All stages of this installation, dependencies before what depends on them."""

    stages: tuple[Available, ...]
    unloadable: tuple[Unloadable, ...] = ()

    def names(self) -> tuple[str, ...]:
        """Names of all loaded stages, working or not."""
        return tuple(found.stage.name for found in self.stages)

    def get(self, name: str) -> Available:
        """The stage of that name. Raises UsageError that names the ones there are."""
        for found in self.stages:
            if found.stage.name == name:
                return found
        broken = next((u for u in self.unloadable if u.name == name), None)
        if broken:
            raise UsageError(f"the stage {name} cannot be loaded: {broken.reason}")
        raise UsageError(f"no stage is called {name}; there are: {', '.join(self.names())}")

    def select(self, names: Sequence[str] | None) -> tuple[Available, ...]:
        """The named stages and those they depend on, in working order; all for None.

        Raises UsageError for an unknown name.
        """
        if names is None:
            return self.stages
        wanted: set[str] = set()
        waiting = list(names)
        while waiting:
            found = self.get(waiting.pop())
            wanted.add(found.stage.name)
            waiting += [base for base in found.stage.after if base not in wanted]
        return tuple(found for found in self.stages if found.stage.name in wanted)


def summary_of(stage: Stage) -> str:
    """What a stage says that it looks for, on one line; "" where it says nothing."""
    words = getattr(stage, "summary", None)
    return " ".join((type(stage).__doc__ or "" if words is None else str(words)).split())


def with_external(registry: Registry, external: Sequence[ExternalStage]) -> Registry:
    """The registry with stages of other makers behind its own.

    Raises UsageError for a name that is taken, or a base that is not there.
    """
    stages = list(registry.stages)
    for one in external:
        names = {available.stage.name for available in stages}
        if one.name in names:
            raise UsageError(f"setting external_stages: there is a stage {one.name} already")
        if absent := [base for base in one.after if base not in names]:
            raise UsageError(f"setting external_stages: {one.name} needs {absent[0]}")
        from caseframe.stages.external import QueuedStage  # noqa: PLC0415 - rarely needed

        stage = QueuedStage(one)
        reason = "its workers are reached over RabbitMQ; run Caseframe as services"
        stages.append(Available(stage, "settings", reason))
    return replace(registry, stages=tuple(stages))


def load_registry(context: StageContext) -> Registry:
    """Every stage, and by `context` whether it can work here. Never raises for a broken one."""
    loaded = load_stages()
    stages = tuple(replace(a, reason=_missing(a.stage, context)) for a in loaded.stages)
    return replace(loaded, stages=stages)


def _missing(stage: Stage, context: StageContext) -> str | None:
    try:
        return stage.missing(context)
    except Exception as error:  # noqa: BLE001 - a plug-in may fail in any way, and must stop nobody else
        return one_line(f"it cannot say whether it works: {type(error).__name__}: {error}")


@cache
def load_stages() -> Registry:
    """Import every stage that can be imported, without asking whether it works here.

    Done once a process, and by the fork server for all its workers.
    """
    loaded: dict[str, Available] = {}
    broken: list[Unloadable] = []
    for name, source, load in (*_builtin(), *_plugins()):
        try:
            found = _checked(name, source, load(), loaded)
        except Exception as error:  # noqa: BLE001 - a plug-in may fail in any way, and must stop nobody else
            reason = one_line(f"{type(error).__name__}: {error}")
            broken.append(Unloadable(name, source, reason))
        else:
            loaded[name] = found
    return Registry(tuple(_in_order(loaded, broken)), tuple(broken))


def _builtin() -> Iterable[tuple[str, str, Callable[[], object]]]:
    for name, target in BUILTIN:
        yield name, "caseframe", partial(_import, target)


def _import(target: str) -> object:
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _plugins() -> Iterable[tuple[str, str, Callable[[], object]]]:
    for point in entry_points(group=ENTRY_POINT_GROUP):
        source = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
        yield point.name, source, point.load


def _checked(name: str, source: str, target: object, loaded: dict[str, Available]) -> Available:
    made = target() if isinstance(target, type) else target
    if not isinstance(made, Stage):
        raise TypeError(f"{target!r} lacks part of the stage contract (caseframe.stages.stage)")
    stage: Stage = made
    if stage.name != name:
        raise ValueError(f"it is registered as {name} and calls itself {stage.name}")
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", name) or len(stage.version) > 32:
        raise ValueError(
            "names are at most 32 of a-z, 0-9, - and _; versions at most 32 characters"
        )
    if name in loaded:
        raise ValueError(f"a stage of {loaded[name].source} has that name already")
    return Available(stage, source, None)


def _in_order(loaded: dict[str, Available], broken: list[Unloadable]) -> list[Available]:
    """Each stage behind those in its `after`; one in a circle or without its base is broken."""
    ordered: dict[str, Available] = {}
    waiting = dict(loaded)
    base = {n for n, a in loaded.items() if not isinstance(a.stage, BatchStage)}
    while ready := [
        n for n, a in waiting.items() if all(b in ordered and b in base for b in a.stage.after)
    ]:
        ordered[ready[0]] = waiting.pop(ready[0])
    for name, left in waiting.items():
        absent = ", ".join(b for b in left.stage.after if b not in ordered or b not in base)
        broken.append(Unloadable(name, left.source, f"it needs results of: {absent}"))
    return list(ordered.values())
