"""Bodies of the API, named as the specification names their fields."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Algorithm = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]
Value = Annotated[str, Field(min_length=1, max_length=8192)]
"""Base64 of a soft binding's value."""

MostResults = Annotated[int, Field(ge=1, le=100)]

CONTEXT = {"c2pa": "https://c2pa.org/ns/", "receipt": "https://c2pa.org/ns/manifest-receipt#"}


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", populate_by_name=True)


class BindingQuery(_Body):
    """A soft binding to look for."""

    alg: Algorithm
    value: Value


class BindingOf(BindingQuery):
    """A soft binding and the manifest that it shall lead to."""

    manifestId: str = Field(min_length=1, max_length=500)  # noqa: N815 - the specification's name


class ReferenceQuery(_Body):
    """Where a picture is to be had. ``region`` is accepted and not used."""

    referenceUrl: str = Field(min_length=1, max_length=2048)  # noqa: N815
    assetLength: int | None = Field(default=None, ge=1)  # noqa: N815
    assetType: str | None = Field(default=None, max_length=200)  # noqa: N815
    region: Any = None


class MatchBody(_Body):
    """A manifest that was found."""

    manifestId: str  # noqa: N815
    similarityScore: int = Field(ge=0, le=100)  # noqa: N815


class QueryResult(_Body):
    """Manifests that were found, best first."""

    matches: list[MatchBody]


class AlgorithmName(_Body):
    """The name of a soft binding algorithm."""

    alg: str


class AlgorithmList(_Body):
    """Algorithms that are understood."""

    watermarks: list[AlgorithmName]
    fingerprints: list[AlgorithmName]


class Capabilities(_Body):
    """Which optional endpoints answer here."""

    c2paSpecificationVersion: str  # noqa: N815
    supportedCapabilities: list[str]  # noqa: N815


class Status(_Body):
    """Whether the service works."""

    status: Literal["ok", "degraded", "down"]
    timestamp: str


class Discovery(_Body):
    """Where the API is."""

    apiEndpoint: str  # noqa: N815
    c2paSpecificationVersion: str  # noqa: N815
    capabilitiesEndpoint: str  # noqa: N815
    statusEndpoint: str  # noqa: N815


class ReceiptRepository(_Body):
    """Which repository took a manifest in."""

    uri: str
    manifestId: str  # noqa: N815


class ReceiptAnchor(_Body):
    """How to check it: ``proof`` holds the manifest's digest, the time, and the log's leaf."""

    uri: str
    proof: dict[str, Any]


class Receipt(_Body):
    """Says that a manifest was taken in."""

    context: dict[str, str] = Field(default=CONTEXT, alias="@context")
    type: Literal["org.c2pa.manifest-receipt"] = Field(
        default="org.c2pa.manifest-receipt", alias="@type"
    )
    repository: ReceiptRepository
    anchor: ReceiptAnchor


class CheckedReceipt(Receipt):
    """A receipt, and whether this repository stands by it."""

    verified: bool


class Created(_Body):
    """The id under which a manifest was taken in."""

    manifestId: str  # noqa: N815
    receipt: Receipt | None = None


class ErrorDetail(_Body):
    """What went wrong, for a program and for a person."""

    code: str
    message: str
    hint: str


class ErrorBody(_Body):
    """Every answer that is no success."""

    error: ErrorDetail
