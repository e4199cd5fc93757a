"""What routes ask for: who is there, which job they mean, and whether they may."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest
from typing import Annotated

from anyio import to_thread
from fastapi import Depends, Path, Request

from caseframe.catalog import jobs
from caseframe.catalog.jobs import Job
from caseframe.domain.access import Action, JobAccess, Principal, TokenRefused, require
from caseframe.domain.people import Client
from caseframe.web.errors import SIGN_IN_FIRST, wants_page
from caseframe.web.services import Services, services
from caseframe.web.session import TROUBLE, client_of, forget_session

ServicesDep = Annotated[Services, Depends(services)]


def token_of(request: Request) -> str | None:
    """The access token: in `Authorization: Bearer`, in `token`, or from the browser's session.

    None only for those who bring nothing at all. Raises TokenRefused, and what kept a session from
    being renewed.
    """
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, value = header.partition(" ")
        if scheme.lower() == "bearer" and value.strip():
            return value.strip()
        raise TokenRefused("the header Authorization takes: Bearer TOKEN")
    given = request.headers.get("token")
    if given is not None:
        return given
    if (trouble := request.scope.get(TROUBLE)) is not None:
        raise trouble
    session: str | None = request.scope.get("caseframe.token")
    return session


def principal(request: Request, here: ServicesDep) -> Principal:
    """Who asks. Raises TokenRefused when nobody is signed in, or no longer."""
    token = token_of(request)
    if token is None:
        raise TokenRefused(SIGN_IN_FIRST)
    who = here.accounts.validate(token)
    request.state.principal = who
    return who


async def visitor(request: Request, here: ServicesDep) -> Principal | None:
    """Who asks, or None for somebody without an account.

    Raises TokenRefused for a token that is not valid: it is never taken for none. Only on a page
    for everybody a browser just loses the cookies of a session that ended.
    """
    try:
        if token_of(request) is None:
            return None
        return await to_thread.run_sync(principal, request, here)
    except TokenRefused:
        if not wants_page(request) or {"authorization", "token"} & {*request.headers.keys()}:
            raise
    forget_session(request.scope, secure=here.options.secure)
    return None


async def client(request: Request) -> Client:
    """From where somebody asks."""
    return client_of(request.scope)


Who = Annotated[Principal, Depends(principal)]
Visitor = Annotated[Principal | None, Depends(visitor)]
From = Annotated[Client, Depends(client)]


@dataclass(frozen=True)
class JobHere:
    """The job that a route is about, and what the one who asks is to it."""

    job: Job
    access: JobAccess
    who: Principal


def _job(action: Action) -> Callable[..., JobHere]:
    def find(job_id: Annotated[str, Path(max_length=64)], who: Who, here: ServicesDep) -> JobHere:
        access = here.sharing.require(who, action, job_id)
        with here.catalog.read() as connection:
            return JobHere(jobs.get_job(connection, job_id), access, who)

    return find


def allowed(action: Action) -> Callable[[Principal], Principal]:
    """A dependency that lets through only those who may do `action` at all."""

    def check(who: Who) -> Principal:
        require(who, action)
        return who

    return check


SeenJob = Annotated[JobHere, Depends(_job(Action.SEE_JOB))]
RunJob = Annotated[JobHere, Depends(_job(Action.RUN_JOB))]
EditJob = Annotated[JobHere, Depends(_job(Action.EDIT_JOB))]
ShareJob = Annotated[JobHere, Depends(_job(Action.SHARE_JOB))]
DeleteJob = Annotated[JobHere, Depends(_job(Action.DELETE_JOB))]
Creator = Annotated[Principal, Depends(allowed(Action.CREATE_JOB))]
Browser = Annotated[Principal, Depends(allowed(Action.BROWSE_SOURCES))]
Administrator = Annotated[Principal, Depends(allowed(Action.MANAGE_USERS))]


def scraper(request: Request, here: ServicesDep) -> Principal | None:
    """Lets in who brings the token for metrics (then None), and administrators."""
    expected, given = here.options.metrics_token, token_of(request) or ""
    # Without a hint, by the time that it takes, how much of it was right.
    if expected and compare_digest(given.encode(), expected.get_secret_value().encode()):
        return None
    who = principal(request, here)
    require(who, Action.MANAGE_USERS)
    return who


Scraper = Annotated[Principal | None, Depends(scraper)]
