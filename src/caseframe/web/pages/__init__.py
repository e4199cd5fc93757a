"""The pages: this tuple is all of them."""

from __future__ import annotations

from fastapi import APIRouter

from caseframe.web.pages import (
    account,
    dead_letters,
    describe,
    docs,
    entry,
    gallery,
    invited,
    jobs,
    oauth,
    problems,
    users,
)

ROUTERS: tuple[APIRouter, ...] = (
    jobs.router,
    gallery.router,
    problems.router,
    docs.router,
    describe.router,
    entry.router,
    invited.router,
    oauth.router,
    account.router,
    users.router,
    dead_letters.router,
)
