"""The endpoints of the C2PA Soft Binding Resolution API 2.4."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ValidationError

from guard.errors import GuardError
from guard.provenance.manifest import SPEC_VERSION
from guard.server.desk import PICTURE_COST, Desk, binding
from guard.server.models import (
    Algorithm,
    AlgorithmList,
    AlgorithmName,
    BindingOf,
    BindingQuery,
    Capabilities,
    CheckedReceipt,
    Created,
    Discovery,
    ErrorBody,
    MatchBody,
    MostResults,
    QueryResult,
    Receipt,
    ReceiptAnchor,
    ReceiptRepository,
    ReferenceQuery,
    Status,
)
from guard.server.problems import Problem, bad_request
from guard.server.repository import Match, SoftBinding

PREFIX = "/v1"

LONGEST_GET = 2048
"""Characters of a value in an address; longer ones are for POST."""

C2PA = "application/c2pa"

MOST_JSON = 64 * 1024
"""Bytes of a JSON body: the longest value and manifest id fit several times."""

ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorBody}
    for code in (400, 401, 403, 404, 408, 409, 413, 414, 429, 500, 501, 502, 503)
}

M = TypeVar("M", bound=BaseModel)


def desk_of(request: Request) -> Desk:
    """The service's desk."""
    desk: Desk = request.app.state.desk
    return desk


async def admitted(request: Request) -> None:
    """Counts the request; pictures cost more and are counted where they are taken."""
    desk_of(request).admit(request)


async def operator(request: Request) -> None:
    """Only with the operator's token."""
    desk_of(request).authorize(request)


def json_of(model: type[M]) -> Callable[[Request], Awaitable[M]]:
    """Reads a bounded JSON body: the framework would read one of any size."""

    async def read(request: Request) -> M:
        data = await desk_of(request).body(request, MOST_JSON)
        try:
            return model.model_validate_json(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"])) or "body"
            raise bad_request(f"{place}: {first['msg']}.", "See /openapi.json.") from None

    return read


def takes(model: type[BaseModel]) -> dict[str, Any]:
    """How the OpenAPI document describes a body that is read by :func:`json_of`."""
    schema = model.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)  # all of them are in answers, too
    return {"requestBody": {"content": {"application/json": {"schema": schema}}, "required": True}}


PICTURE = {"requestBody": {"content": {"image/*": {}}, "required": True}}
STORE = {"requestBody": {"content": {C2PA: {}}, "required": True}}

Query_ = Annotated[BindingQuery, Depends(json_of(BindingQuery))]
Binding_ = Annotated[BindingOf, Depends(json_of(BindingOf))]
Reference_ = Annotated[ReferenceQuery, Depends(json_of(ReferenceQuery))]
Shown_ = Annotated[Receipt, Depends(json_of(Receipt))]
Results = Annotated[MostResults, Query(alias="maxResults")]
query = APIRouter(prefix=PREFIX, tags=["query"], dependencies=[Depends(admitted)])
fetch = APIRouter(prefix=PREFIX, tags=["fetch"], dependencies=[Depends(admitted)])
store = APIRouter(
    prefix=PREFIX, tags=["store"], dependencies=[Depends(admitted), Depends(operator)]
)
service = APIRouter(tags=["service"], dependencies=[Depends(admitted)])

# -- query -----------------------------------------------------------------------------------


@query.get("/matches/byBinding", response_model=QueryResult, responses=ERRORS)
async def match_binding(
    request: Request,
    alg: Annotated[Algorithm, Query()],
    value: Annotated[str, Query(min_length=1)],
    max_results: Results = 10,
) -> QueryResult:
    """Manifests that a soft binding leads to."""
    if len(value) > LONGEST_GET:
        raise Problem(414, "too_long", "The value is too long for an address.", "Send it by POST.")
    return await _by_binding(request, binding(alg, value), max_results)


@query.post(
    "/matches/byBinding",
    response_model=QueryResult,
    responses=ERRORS,
    openapi_extra=takes(BindingQuery),
)
async def match_large_binding(
    request: Request, asked: Query_, max_results: Results = 10
) -> QueryResult:
    """As by GET, for values too long for an address."""
    return await _by_binding(request, binding(asked.alg, asked.value), max_results)


async def _by_binding(request: Request, asked: SoftBinding, limit: int) -> QueryResult:
    desk = desk_of(request)
    return _result(await desk.look_up(lambda: desk.repository.by_binding(asked, limit)))


Hint = Annotated[str | None, Query(alias="hintValue", max_length=LONGEST_GET)]


@dataclass(frozen=True, slots=True)
class Content:
    """What is asked of a picture."""

    algorithm: str | None
    hint: SoftBinding | None
    limit: int


def content(
    alg: Annotated[Algorithm | None, Query()] = None,
    hint_alg: Annotated[Algorithm | None, Query(alias="hintAlg")] = None,
    hint_value: Hint = None,
    max_results: Results = 10,
) -> Content:
    """The parameters of a question about a picture."""
    given = hint_alg is not None and hint_value is not None
    hint = binding(hint_alg or "", hint_value or "") if given else None
    return Content(alg, hint, max_results)


Content_ = Annotated[Content, Depends(content)]


@query.post(
    "/matches/byContent", response_model=QueryResult, responses=ERRORS, openapi_extra=PICTURE
)
async def match_content(request: Request, asked: Content_) -> QueryResult:
    """Manifests that a picture's own mark and fingerprints lead to; the body is the picture."""
    desk = desk_of(request)
    desk.admit(request, PICTURE_COST)
    return await _by_content(desk, await desk.body(request), asked)


@query.post(
    "/matches/byReference",
    response_model=QueryResult,
    responses=ERRORS,
    openapi_extra=takes(ReferenceQuery),
)
async def match_reference(request: Request, where: Reference_, asked: Content_) -> QueryResult:
    """As by content, for a picture behind an https address; off unless hosts are allowed."""
    desk = desk_of(request)
    desk.admit(request, PICTURE_COST)
    if (where.assetLength or 0) > desk.options.max_bytes:
        raise Problem(413, "too_large", "The picture is too large.", "Send a smaller file.")
    data = await desk.fetches.run(lambda: desk.fetcher.fetch(where.referenceUrl))
    return await _by_content(desk, data, asked)


async def _by_content(desk: Desk, data: bytes, asked: Content) -> QueryResult:
    found = await desk.workers.run(
        lambda: desk.repository.by_content(data, asked.limit, asked.algorithm, asked.hint)
    )
    return _result(found)


def _result(matches: list[Match]) -> QueryResult:
    found = [MatchBody(manifestId=one.manifest_id, similarityScore=one.score) for one in matches]
    return QueryResult(matches=found)


# -- fetch -----------------------------------------------------------------------------------


@fetch.get(
    "/manifests/{manifest_id}",
    response_class=Response,
    responses=ERRORS | {200: {"content": {C2PA: {}}, "description": "A C2PA manifest store"}},
)
async def get_manifest(
    request: Request,
    manifest_id: str,
    active: Annotated[bool, Query(alias="returnActiveManifest")] = False,
) -> Response:
    """The manifest store that holds a manifest, or the manifest alone."""
    desk = desk_of(request)
    data = await desk.look_up(lambda: desk.repository.manifest(manifest_id, active_only=active))
    return Response(data, media_type=C2PA, headers={"X-Content-Type-Options": "nosniff"})


@fetch.get("/manifests/{manifest_id}/receipts", response_model=CheckedReceipt, responses=ERRORS)
async def get_receipt(request: Request, manifest_id: str) -> CheckedReceipt:
    """The receipt of a manifest that is here."""
    receipt = await _receipt(request, manifest_id)
    return CheckedReceipt(verified=True, **receipt.model_dump(by_alias=True))


@fetch.post(
    "/manifests/{manifest_id}/receipts",
    response_model=CheckedReceipt,
    responses=ERRORS,
    openapi_extra=takes(Receipt),
)
async def check_receipt(request: Request, manifest_id: str, shown: Shown_) -> CheckedReceipt:
    """Whether this repository stands by a receipt that somebody shows."""
    known = await _receipt(request, manifest_id)
    same = shown.repository.manifestId == manifest_id and shown.anchor.proof == known.anchor.proof
    return CheckedReceipt(verified=same, **shown.model_dump(by_alias=True))


async def _receipt(request: Request, manifest_id: str) -> Receipt:
    desk = desk_of(request)
    proof = await desk.look_up(lambda: desk.repository.receipt(manifest_id))
    base = desk.options.public_url.rstrip("/")
    return Receipt(
        repository=ReceiptRepository(uri=base or "/", manifestId=manifest_id),
        anchor=ReceiptAnchor(uri=f"{base}{PREFIX}/manifests/{manifest_id}/receipts", proof=proof),
    )


# -- store -----------------------------------------------------------------------------------


@store.post(
    "/manifests",
    response_model=Created,
    response_model_exclude_none=True,
    responses=ERRORS,
    openapi_extra=STORE,
)
async def add_manifest(
    request: Request, receipt: Annotated[bool, Query(alias="returnReceipt")] = False
) -> Created:
    """Take a manifest store in; the body is the store."""
    desk = desk_of(request)
    data = await desk.body(request)
    manifest_id = await desk.look_up(lambda: desk.repository.add(data))
    given = await _receipt(request, manifest_id) if receipt else None
    return Created(manifestId=manifest_id, receipt=given)


@store.delete("/manifests/{manifest_id}", status_code=204, responses=ERRORS)
async def withdraw_manifest(request: Request, manifest_id: str) -> Response:
    """Serve a manifest no longer."""
    desk = desk_of(request)
    await desk.look_up(lambda: desk.repository.withdraw(manifest_id))
    return Response(status_code=204)


@store.post("/bindings", response_model=BindingOf, responses=ERRORS, openapi_extra=takes(BindingOf))
async def add_binding(request: Request, asked: Binding_) -> BindingOf:
    """Let a soft binding lead to a manifest, beside those it leads to."""
    return await _bind(request, asked, replace=False)


@store.put("/bindings", response_model=BindingOf, responses=ERRORS, openapi_extra=takes(BindingOf))
async def replace_binding(request: Request, asked: Binding_) -> BindingOf:
    """Let a soft binding lead to this manifest and to no other that was handed in."""
    return await _bind(request, asked, replace=True)


async def _bind(request: Request, asked: BindingOf, *, replace: bool) -> BindingOf:
    desk, wanted = desk_of(request), binding(asked.alg, asked.value)
    await desk.look_up(lambda: desk.repository.bind(wanted, asked.manifestId, replace=replace))
    return asked


# -- service ---------------------------------------------------------------------------------


@service.get(PREFIX + "/services/supportedAlgorithms", response_model=AlgorithmList)
async def supported_algorithms(request: Request) -> AlgorithmList:
    """The soft binding algorithms that can be asked for."""
    repository = desk_of(request).repository
    return AlgorithmList(
        watermarks=[AlgorithmName(alg=one) for one in repository.watermarks],
        fingerprints=[AlgorithmName(alg=one) for one in repository.fingerprints],
    )


@service.get(PREFIX + "/services/capabilities", response_model=Capabilities)
async def capabilities(request: Request) -> Capabilities:
    """The optional endpoints that answer here."""
    desk = desk_of(request)
    found = ["queryByContent"]
    found += ["queryByReference"] if desk.fetcher.enabled else []
    found += ["storeManifests", "storeBindings"] if desk.options.token is not None else []
    return Capabilities(c2paSpecificationVersion=SPEC_VERSION, supportedCapabilities=found)


@service.get(PREFIX + "/services/status", response_model=Status)
async def status(request: Request) -> Status:
    """Whether the service works: ``down`` when its database does not answer."""
    desk = desk_of(request)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        await desk.look_up(desk.repository.check)
    except (GuardError, Problem):
        return Status(status="down", timestamp=now)
    return Status(status="ok", timestamp=now)


@service.get("/.well-known/c2pa-soft-binding-resolution", response_model=Discovery)
async def discovery(request: Request) -> Discovery:
    """Where the API is (RFC 8615)."""
    base = desk_of(request).options.public_url.rstrip("/") + PREFIX
    return Discovery(
        apiEndpoint=base,
        c2paSpecificationVersion=SPEC_VERSION,
        capabilitiesEndpoint=base + "/services/capabilities",
        statusEndpoint=base + "/services/status",
    )
