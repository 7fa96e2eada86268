"""Closed models behind an OpenAI-shaped images API, at any base URL.

``POST {base}/images/generations`` (JSON) and, for an input image, ``POST {base}/images/edits``
(multipart), as in OpenAI's API reference. Asked for ``b64_json``; where a server answers a ``url``
instead, it is fetched only over https (or from the very host of the base URL), without the key,
without redirects and under the same size limit: an answer must not make us call a neighbour.
"""

from __future__ import annotations

import base64
import binascii
import email.utils
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from guard.errors import GuardError, InvalidRequest, ModelUnavailable, StageMisbehaved
from guard.image.decode import decode
from guard.types import GenerationRequest, RawImage

if TYPE_CHECKING:
    import httpx

MAX_RESPONSE_BYTES = 256 * 2**20
"""Four 4096 × 4096 PNGs in base64; the answer is thrown away while it is read beyond that."""

CONNECT_SECONDS = 10.0
READ_SECONDS = 180.0
"""Closed models take a minute or two for a picture in high quality."""

ATTEMPTS = 4
FIRST_WAIT = 1.0
LONGEST_WAIT = 30.0
"""A longer Retry-After is not waited for: the request fails and says when to come back."""

ONE_AT_A_TIME = ("dall-e-3",)
"""Models whose API draws one picture a request; several are asked for one after the other."""

ALWAYS_BASE64 = ("gpt-image",)
"""Models that answer base64 only, and refuse to be asked for it."""

RETRIED = frozenset({408, 409, 429, 500, 502, 503, 504})
REFUSAL_CODES = frozenset({"content_policy_violation", "moderation_blocked", "content_filter"})


class OpenAIImagesGenerator:
    """Draws through somebody else's server. Safe to share between threads.

    The API takes no seed, step count or negative prompt; they are left out, and ``notices`` says
    so. What comes back is decoded under the guard's limits and enters the hallway as raw pixels.
    """

    def __init__(
        self,
        model: str,
        base_url: str,
        api_key: str,
        *,
        timeout: float = READ_SECONDS,
        first_wait: float = FIRST_WAIT,
    ) -> None:
        """``timeout`` in seconds without a byte; ``first_wait`` before the first retry."""
        self._name = model
        self._base = base_url.rstrip("/")
        self._key = api_key
        self._timeout = timeout
        self._first_wait = first_wait

    def __repr__(self) -> str:
        return f"OpenAIImagesGenerator({self._name!r}, {self._base!r})"

    @property
    def model(self) -> str:
        """``openai:NAME``; no digest: nobody outside knows which weights answered."""
        return f"openai:{self._name}"

    def notices(self, request: GenerationRequest) -> tuple[str, ...]:
        """What of the request this API cannot honour."""
        given = {
            "seed": request.seed is not None,
            "steps": request.steps is not None,
            "negative prompt": bool(request.negative_prompt),
        }
        ignored = [name for name, there in given.items() if there]
        if not ignored:
            return ()
        return (f"{self.model} takes no {' and no '.join(ignored)}; it was left out.",)

    def generate(self, request: GenerationRequest) -> Sequence[RawImage]:
        """``request.count`` pictures, each with seed None.

        Raises ModelUnavailable when the server cannot be reached, refuses the key, the model or
        the prompt, or answers nonsense; InvalidRequest when it calls the request invalid.
        """
        import httpx

        timeout = httpx.Timeout(self._timeout, connect=min(CONNECT_SECONDS, self._timeout))
        times = request.count if self._name.startswith(ONE_AT_A_TIME) else 1
        with httpx.Client(timeout=timeout, follow_redirects=False) as client:
            entries = [
                entry
                for _ in range(times)
                for entry in _entries(self._ask(client, request, request.count // times))
            ]
            pictures = [self._picture(client, entry) for entry in entries]
        if len(pictures) != request.count:
            raise StageMisbehaved(
                f"{self.model} answered {len(pictures)} pictures instead of {request.count}."
            )
        return tuple(RawImage(decode(data).pixels, None, self.model) for data in pictures)

    def _ask(self, client: httpx.Client, request: GenerationRequest, count: int) -> Any:
        fields: dict[str, Any] = {"model": self._name, "prompt": request.prompt, "n": count}
        if not self._name.startswith(ALWAYS_BASE64):
            fields["response_format"] = "b64_json"
        if request.size:
            fields["size"] = f"{request.size[0]}x{request.size[1]}"
        if request.input_image is None:
            return self._post(client, "/images/generations", {"json": fields})
        media_type = decode(request.input_image).media_type
        name = "image." + media_type.removeprefix("image/")
        files = {"image": (name, request.input_image, media_type)}
        form = {key: str(value) for key, value in fields.items()}
        return self._post(client, "/images/edits", {"data": form, "files": files})

    def _post(self, client: httpx.Client, path: str, body: Mapping[str, Any]) -> Any:
        """The decoded JSON answer, after as many tries as it is worth."""
        import httpx

        headers = {"Authorization": f"Bearer {self._key}"}
        for attempt in range(1, ATTEMPTS + 1):
            try:
                status, told, data = _read(client, "POST", self._base + path, headers, body)
            except httpx.TransportError as error:
                # A request that got through may be drawing (and costing) already: only one that
                # never arrived is tried again.
                if attempt == ATTEMPTS or not isinstance(error, httpx.ConnectError):
                    raise self._unreachable(error) from None
                wait: float | None = None
            except (httpx.InvalidURL, httpx.HTTPError, ValueError) as error:
                raise self._unreachable(error) from None
            else:
                if status == 200:
                    return _json(data)
                wait = _retry_after(told)
                if attempt == ATTEMPTS or status not in RETRIED or (wait or 0) > LONGEST_WAIT:
                    raise self._refused(status, data, wait)
            time.sleep(min(wait or self._first_wait * 2 ** (attempt - 1), LONGEST_WAIT))
        raise AssertionError("the last attempt returns or raises")  # pragma: no cover

    def _unreachable(self, error: Exception) -> ModelUnavailable:
        host = _split(self._base).hostname or "the server"
        slow = "Timeout" in type(error).__name__
        what = f"did not answer within {self._timeout:.0f} s" if slow else "cannot be reached"
        return ModelUnavailable(
            f"{self.model}: {host} {what} ({type(error).__name__}).",
            hint="Check GUARD_OPENAI_BASE_URL and the connection.",
        )

    def _refused(self, status: int, data: bytes, wait: float | None) -> GuardError:
        code, message = _complaint(data)
        message = self._without_key(message)
        if code in REFUSAL_CODES:
            return ModelUnavailable(
                f"{self.model} refused the prompt by its own content filter: {message}",
                hint="The guard's policy let it through; rephrase the prompt or use another model.",
            )
        if status in {401, 403}:
            return ModelUnavailable(
                f"{self.model}: the server does not accept the API key (HTTP {status}).",
                hint="Check GUARD_OPENAI_API_KEY.",
            )
        if status == 404:
            return ModelUnavailable(
                f"{self.model}: the server knows no such model or address (HTTP 404).",
                hint="Check the model's name and GUARD_OPENAI_BASE_URL (it usually ends in /v1).",
            )
        if status in {400, 422}:
            return InvalidRequest(
                f"{self.model} does not accept the request: {message}",
                hint="Closed models draw a few sizes and counts only: leave them out.",
            )
        later = f" Try again in {wait:.0f} s." if wait else " Try again later."
        return ModelUnavailable(
            f"{self.model}: the server answered HTTP {status}: {message}", hint=later.strip()
        )

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "…") if self._key else text

    def _picture(self, client: httpx.Client, entry: Any) -> bytes:
        """The encoded bytes of one entry of ``data``."""
        encoded = entry.get("b64_json") if isinstance(entry, Mapping) else None
        if isinstance(encoded, str):
            try:
                return base64.b64decode(encoded, validate=True)
            except (binascii.Error, ValueError) as error:
                raise StageMisbehaved(f"{self.model} answered broken base64.") from error
        url = entry.get("url") if isinstance(entry, Mapping) else None
        if not isinstance(url, str):
            raise StageMisbehaved(f"{self.model} answered an entry without a picture.")
        return self._fetch(client, url)

    def _fetch(self, client: httpx.Client, url: str) -> bytes:
        import httpx

        wanted, home = _split(url), _split(self._base)
        same = (wanted.scheme, wanted.netloc) == (home.scheme, home.netloc)
        if not same and wanted.scheme != "https":
            raise StageMisbehaved(f"{self.model} answered an address that is not fetched.")
        try:
            status, _, data = _read(client, "GET", url, {}, {})
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from None
        if status != 200:
            raise ModelUnavailable(f"{self.model}: its picture answers HTTP {status}.")
        return data


def _read(
    client: httpx.Client,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: Mapping[str, Any],
) -> tuple[int, httpx.Headers, bytes]:
    """Status, headers and at most ``MAX_RESPONSE_BYTES`` of body."""
    data = bytearray()
    # Uncompressed: a few kilobytes must not unpack to gigabytes.
    asked = {**headers, "Accept-Encoding": "identity"}
    with client.stream(method, url, headers=asked, **body) as response:
        for chunk in response.iter_raw():
            data += chunk
            if len(data) > MAX_RESPONSE_BYTES:
                raise StageMisbehaved(
                    f"The server's answer is larger than {MAX_RESPONSE_BYTES >> 20} MiB."
                )
        return response.status_code, response.headers, bytes(data)


def _split(url: str) -> SplitResult:
    """The parts of a URL; empty ones for what is none."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _json(data: bytes) -> Any:
    import json

    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise StageMisbehaved(
            "The server's answer is not JSON.", hint="Check GUARD_OPENAI_BASE_URL."
        ) from error


def _entries(answer: Any) -> list[Any]:
    entries = answer.get("data") if isinstance(answer, Mapping) else None
    if not isinstance(entries, list) or not entries:
        raise StageMisbehaved("The server answered no pictures.")
    return entries


def _complaint(data: bytes) -> tuple[str, str]:
    """(code, message) of an OpenAI-shaped error, the message cut to a line."""
    try:
        told = _json(data)
    except StageMisbehaved:
        told = None
    error = told.get("error") if isinstance(told, Mapping) else None
    if not isinstance(error, Mapping):
        return "", "no reason given"
    code, message = error.get("code"), str(error.get("message") or "no reason given")
    return str(code or error.get("type") or ""), " ".join(message.split())[:300]


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait: RFC 9110 §10.2.3, a number or a date."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    if value.isdigit():
        return float(value)
    try:
        then = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, then.timestamp() - time.time())
