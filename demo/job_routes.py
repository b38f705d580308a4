"""Jobs over plain HTTP, for scripts: the same services as the pages, the same checks inside."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from demo.requests import ClipRequest
from demo.services import Services
from vasa_core.errors import BadOption


def router(services: Services) -> APIRouter:
    """/jobs."""
    routes = APIRouter()

    @routes.post("/jobs")
    async def submit(request: Request) -> Response:
        """Queues the clip that the JSON body asks for."""
        account = await run_in_threadpool(services.account, request)
        wanted = clip_request(await _body(request))
        job_id = await run_in_threadpool(services.submit, account, wanted)
        return JSONResponse({"job": job_id}, 202)

    @routes.get("/jobs")
    def mine(request: Request) -> Response:
        """The newest jobs of whoever asks."""
        return JSONResponse([asdict(job) for job in services.jobs(services.account(request))])

    @routes.get("/jobs/{job_id}")
    def job(request: Request, job_id: str) -> Response:
        """How far a job is."""
        return JSONResponse(asdict(services.job(services.account(request), job_id)))

    @routes.post("/jobs/{job_id}/cancel")
    def cancel(request: Request, job_id: str) -> Response:
        """Takes a job out of the queue, or stops it."""
        services.cancel(services.account(request), job_id)
        return Response(status_code=204)

    return routes


def clip_request(body: object) -> ClipRequest:
    """The request in a JSON body; BadOption names a field that there is not."""
    known = {field.name for field in fields(ClipRequest)}
    if not isinstance(body, dict) or "portrait" not in body or body.keys() - known:
        raise BadOption(f"A clip is asked for with a portrait and some of {', '.join(sorted(known))}.")
    wanted: dict[str, Any] = body
    return ClipRequest(**wanted)


async def _body(request: Request) -> object:
    try:
        return await request.json()
    except (ValueError, RecursionError):
        raise BadOption("The body is not JSON.") from None
