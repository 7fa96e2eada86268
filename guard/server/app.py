"""The service: routers, limits, and errors that say the same as everywhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from guard.errors import GuardError
from guard.provenance.manifest import SPEC_VERSION
from guard.server import routes
from guard.server.desk import Desk
from guard.server.options import ServerOptions
from guard.server.problems import HIDDEN, Problem, problem_of
from guard.server.repository import Repository

TITLE = "C2PA Soft Binding Resolution API"

ABOUT = (
    "Finds the C2PA manifest of a picture by its watermark or fingerprint. "
    "Answers say what a manifest says, and nothing about who made a picture or asked for it."
)


def create_app(repository: Repository, options: ServerOptions | None = None) -> FastAPI:
    """The ASGI application over a repository. Its threads end with its lifespan."""
    desk = Desk(repository, options or ServerOptions())

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        desk.close()

    app = FastAPI(
        title=TITLE,
        version=SPEC_VERSION,
        description=ABOUT,
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
    )
    app.state.desk = desk
    for router in (routes.query, routes.fetch, routes.store, routes.service):
        app.include_router(router)
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(GuardError, _guard_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _bug)
    return app


def _answer(problem: Problem) -> JSONResponse:
    return JSONResponse(problem.body, problem.status, headers=problem.headers)


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101  # registered for it
    return _answer(error)


async def _guard_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, GuardError)  # noqa: S101  # registered for it
    return _answer(problem_of(error))


async def _invalid(_request: Request, error: Exception) -> Response:
    """Where a request breaks its schema: the place, not what stood there."""
    assert isinstance(error, RequestValidationError)  # noqa: S101  # registered for it
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return _answer(Problem(400, "invalid_request", f"{place}: {first['msg']}.", "See openapi.json"))


async def _http(_request: Request, error: Exception) -> Response:
    """No such path, or not this method."""
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for it
    code = "not_found" if error.status_code == 404 else "invalid_request"
    problem = Problem(error.status_code, code, f"{error.detail}.", "See openapi.json")
    problem.headers.update(error.headers or {})
    return _answer(problem)


async def _bug(_request: Request, _error: Exception) -> Response:
    return _answer(Problem(500, "error", HIDDEN, "Try again later."))
