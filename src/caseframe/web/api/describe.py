"""Descriptions of pictures that are sent along."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from caseframe.domain.access import Action, Principal, require
from caseframe.vision.client import ModelInfo
from caseframe.web.deps import From, ServicesDep, Visitor
from caseframe.web.desk import Desk, Words, desk

router = APIRouter(tags=["descriptions"])
DeskDep = Annotated[Desk, Depends(desk)]
_PICTURE = {"type": "string", "format": "byte", "description": "The file in base64."}
_MODEL = {
    "description": "BLIP (0), BLIP_QUANTIZED (1) or FACTS (2); the server's own choice without.",
    "anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}],
}
_FILES = {"type": "array", "items": {"type": "string", "format": "binary"}}
_JSON_SCHEMA = {
    "type": "object",
    "description": "Either `image` or `images`.",
    "properties": {
        "image": _PICTURE, "images": {"type": "array", "items": _PICTURE}, "model": _MODEL,
    },
}  # fmt: skip
_FORM_SCHEMA = {
    "type": "object",
    "description": "Files under any name of a field.",
    "properties": {"image": _FILES, "model": {"type": "string"}},
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": _JSON_SCHEMA},
            "multipart/form-data": {"schema": _FORM_SCHEMA},
        },
    }
}


class Described(BaseModel):
    """A description and the model that made it; FACTS is a sentence from measured facts.

    In a batch, `error` says why there is none for this picture.
    """

    description: str
    model: str
    error: str | None = None


class ModelOut(BaseModel):
    """A way of describing pictures. `reason` says why it cannot be used here."""

    name: str
    model: str
    available: bool
    reason: str | None


class AllowanceOut(BaseModel):
    """Calls an hour without an account; with none left, `wait` seconds until the next."""

    limit: int
    left: int
    wait: int


class ModelsOut(BaseModel):
    """All models, the one that is taken where none is named, and what a visitor may still ask."""

    default: str
    models: list[ModelOut]
    allowance: AllowanceOut | None


async def describer(who: Visitor) -> Principal | None:
    """Lets in visitors, and everybody whose role describes pictures."""
    if who is not None:
        require(who, Action.DESCRIBE_IMAGE)
    return who


@router.post("/vision/process-image", openapi_extra=_BODY, response_model_exclude_none=True)
async def process_image(
    request: Request,
    here: ServicesDep,
    at: DeskDep,
    client: From,
    who: Annotated[Principal | None, Depends(describer)],
    response: Response,
) -> Described | list[Described]:
    """Describe one picture, or several in their order; visitors have a few calls an hour.

    JSON with `image` and a form with one file give one description; JSON with `images` and a form
    with several files a list, in which a picture that cannot be described has an `error`.
    """
    stranger = client.address if who is None else None
    async with at.upload(request, stranger) as upload:
        model = upload.model or here.options.default_model
        words = await at.describe(upload, model)
    if stranger is not None:
        response.headers["ratelimit-remaining"] = str(await at.left(stranger))
    found = [_out(one, model) for one in words]
    return found if upload.several else found[0]


def _out(words: Words, model: str) -> Described:
    return Described(description=words.text, model=model, error=words.error)


@router.get("/api/v1/models")
def models(here: ServicesDep, at: DeskDep, client: From, who: Visitor) -> ModelsOut:
    """Which models describe pictures here."""
    left = None if who else at.allowance.left(client.address)
    return ModelsOut(
        default=here.options.default_model,
        models=[_model(info, who) for info in here.vision.models()],
        allowance=AllowanceOut.model_validate(left, from_attributes=True) if left else None,
    )


def _model(info: ModelInfo, who: Principal | None) -> ModelOut:
    # Reasons name folders of the server, which is nothing for visitors.
    reason = info.reason if who or info.reason is None else "not installed here"
    return ModelOut(
        name=info.identity.name, model=info.identity.model, available=info.reason is None,
        reason=reason,
    )  # fmt: skip
