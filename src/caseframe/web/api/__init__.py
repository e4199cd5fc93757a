"""The REST interface: this tuple is all of it. Routes are grouped by what they are about."""

from __future__ import annotations

from fastapi import APIRouter

from caseframe.web.api import (
    account,
    auth,
    choices,
    dead_letters,
    describe,
    events,
    jobs,
    picture,
    pictures,
    problems,
    shares,
    sources,
    system,
    thumbnails,
    users,
)

ROUTERS: tuple[APIRouter, ...] = (
    # These before all others, because addresses are tried one after the other.
    thumbnails.router,
    describe.router,
    system.router,
    auth.router,
    account.router,
    users.router,
    jobs.router,
    shares.router,
    choices.router,  # before those whose addresses take any picture
    pictures.router,
    picture.router,
    problems.router,
    sources.router,
    events.router,
    dead_letters.router,
)
