"""Browsing the folders that jobs can be made of."""

from __future__ import annotations

import os
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from caseframe.web.deps import Browser, ServicesDep
from caseframe.web.sources import Folder, list_folder

router = APIRouter(prefix="/api/v1", tags=["sources"])


class FolderOut(BaseModel):
    """A folder below the sources root; `path` opens it, `name` is for people."""

    path: str
    name: str


class ListingOut(BaseModel):
    """What stands in a folder: folders, and how many files. `more` says that not all are listed."""

    path: str
    parent: str | None
    folders: list[FolderOut]
    files: int
    more: bool


def _out(folder: Folder) -> FolderOut:
    return FolderOut(path=folder.token, name=folder.name)


@router.get("/sources")
def sources(
    here: ServicesDep, _who: Browser, path: Annotated[str, Query(max_length=8192)] = ""
) -> ListingOut:
    """List one folder below the sources root. Links and special files are left out."""
    listing = list_folder(os.fsencode(here.options.sources), path)
    return ListingOut(
        path=path,
        parent=listing.parent,
        folders=[_out(folder) for folder in listing.folders],
        files=listing.files,
        more=listing.more,
    )
