"""What was made, served to whom it belongs: owner and consent are checked on every request, bytes stay untouched."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from fastapi import APIRouter, File, Form, Request, UploadFile
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, JSONResponse, Response

from demo.limits import Rate
from demo.security import Refusals
from demo.services import Services
from vasa_core.errors import AccessRefused, BadOption, ClipRefused, ConsentRefused, VasaError
from vasa_core.trust.accounts import Account

ID = re.compile(r"[0-9a-f]{32}")
PRIVATE = {"Cache-Control": "private, no-store"}
TOLD_AGAIN_S = 600.0
"""A player fetches one clip in many pieces: the audit hears of it once in this time."""


def router(services: Services, refusals: Refusals) -> APIRouter:
    """/clips, /stills and /uploads."""
    routes = APIRouter()
    told = Rate(1, TOLD_AGAIN_S)

    async def mine(request: Request, find: Callable[[Account, str], Path], name: str) -> tuple[Account, Path]:
        account = await run_in_threadpool(services.account, request)
        try:
            if not ID.fullmatch(name):
                raise BadOption("There is no such file of yours.")
            return account, await run_in_threadpool(find, account, name)
        except (BadOption, ClipRefused, AccessRefused):
            await refusals.tell("foreign_file", request.scope, account.id)
            raise

    @routes.api_route("/clips/{name}.mp4", methods=["GET", "HEAD"])
    async def clip(request: Request, name: str, download: bool = False) -> Response:
        account, path = await mine(request, lambda a, n: services.clip(a, n).path, name)
        event = "downloaded" if download else "viewed"
        if told.allows((account.id, name, event)):
            await run_in_threadpool(services.registry.audit.append, event, account.id, clip=name)
        kind = "attachment" if download else "inline"
        return FileResponse(
            path, media_type="video/mp4", headers=PRIVATE, filename=f"{name[:8]}.mp4", content_disposition_type=kind
        )

    @routes.api_route("/stills/{name}.jpg", methods=["GET", "HEAD"])
    async def still(request: Request, name: str) -> Response:
        _, path = await mine(request, services.still_path, name)
        return FileResponse(path, media_type="image/jpeg", headers=PRIVATE)

    @routes.post("/uploads")
    async def upload(request: Request, file: UploadFile = File(), kind: str = Form()) -> Response:
        account = await run_in_threadpool(services.account, request)
        return JSONResponse({"upload": await run_in_threadpool(_kept, services, account, file, kind)})

    return routes


def _kept(services: Services, account: Account, file: UploadFile, kind: str) -> str:
    folder = services.registry.files / "unfinished"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    import tempfile

    with tempfile.NamedTemporaryFile(dir=folder) as copy:
        while piece := file.file.read(1 << 20):
            copy.write(piece)
        copy.flush()
        return services.keep_upload(account, copy.name, kind)


def status_of(refusal: VasaError) -> int:
    """How HTTP calls a refusal."""
    kinds = ((AccessRefused, 403), (ConsentRefused, 403), (ClipRefused, 404), (BadOption, 400))
    return next((status for kind, status in kinds if isinstance(refusal, kind)), 400)
