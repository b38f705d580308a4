"""What was made, served to whom it belongs: owner and consent are checked on every request, bytes stay untouched."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import av
from fastapi import APIRouter, File, Form, HTTPException, Request, UploadFile
from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, JSONResponse, Response

from demo.consents import paper_kind
from demo.limits import Rate
from demo.security import Refusals
from demo.services import Services
from demo.uploads import brought
from vasa_core.errors import AccessRefused, BadOption, Busy, ClipRefused, ConsentRefused, StoreFault, VasaError
from vasa_core.pictures import load_picture
from vasa_core.trust.accounts import Account

ID = re.compile(r"[0-9a-f]{32}")
PRIVATE = {"Cache-Control": "private, no-store"}
THUMBNAIL_PX, VIEW_PX, PAPER_PX = 240, 720, 1600
TOLD_AGAIN_S = 600.0
"""A player fetches one clip in many pieces: the audit hears of it once in this time."""


def router(services: Services, refusals: Refusals) -> APIRouter:
    """/clips, /stills, /uploads, and the pictures and papers of consents."""
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

    @routes.get("/clips/{name}.jpg")
    async def poster(request: Request, name: str) -> Response:
        _, path = await mine(request, lambda a, n: services.clip(a, n).path, name)
        return Response(await run_in_threadpool(first_frame, path), media_type="image/jpeg", headers=PRIVATE)

    @routes.get("/clips/{name}.vtt")
    async def captions(request: Request, name: str) -> Response:
        account, _ = await mine(request, lambda a, n: services.clip(a, n).path, name)
        words = await run_in_threadpool(services.captions, account, name)
        if words is None:
            raise HTTPException(404)
        return Response(words, media_type="text/vtt", headers=PRIVATE)

    @routes.get("/consents/{name}.jpg")
    async def portrait(request: Request, name: str, large: bool = False) -> Response:
        _, path = await mine(request, services.consent_picture, name)
        view = await run_in_threadpool(as_jpeg, path, VIEW_PX if large else THUMBNAIL_PX)
        return Response(view, media_type="image/jpeg", headers=PRIVATE)

    @routes.get("/consents/{name}/paper")
    async def paper(request: Request, name: str) -> Response:
        _, path = await mine(request, services.consent_paper, name)
        kind = paper_kind(path)
        if kind == "pdf":  # never opened here, nor in our page
            return FileResponse(path, media_type="application/pdf", headers=PRIVATE, filename=f"{name[:8]}.pdf")
        if kind == "text":
            return FileResponse(path, media_type="text/plain; charset=utf-8", headers=PRIVATE)
        return Response(await run_in_threadpool(as_jpeg, path, PAPER_PX), media_type="image/jpeg", headers=PRIVATE)

    @routes.api_route("/stills/{name}.jpg", methods=["GET", "HEAD"])
    async def still(request: Request, name: str) -> Response:
        _, path = await mine(request, services.still_path, name)
        return FileResponse(path, media_type="image/jpeg", headers=PRIVATE)

    @routes.post("/uploads")
    async def upload(request: Request, file: UploadFile = File(), kind: str = Form()) -> Response:
        account = await run_in_threadpool(services.account, request)
        return JSONResponse({"upload": await run_in_threadpool(_kept, services, account, file, kind)})

    return routes


def first_frame(clip: Path) -> bytes:
    """The first frame of a clip, with its label and its mark in it, as JPEG."""
    with av.open(str(clip)) as file:
        frame = next(file.decode(video=0))
    return _as_jpeg(frame.to_image())


def as_jpeg(picture: Path, most_px: int) -> bytes:
    """A view of a portrait or a scanned paper, no side longer than this, for who looks at the consent."""
    small = Image.fromarray(load_picture(picture))
    small.thumbnail((most_px, most_px))
    return _as_jpeg(small)


def _as_jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=88)
    return out.getvalue()


def _kept(services: Services, account: Account, file: UploadFile, kind: str) -> str:
    with brought(file, services.registry.files / "unfinished") as path:
        return services.keep_upload(account, path, kind)


def status_of(refusal: VasaError) -> int:
    """How HTTP calls a refusal."""
    kinds = ((AccessRefused, 403), (ConsentRefused, 403), (ClipRefused, 404), (Busy, 429), (StoreFault, 503))
    return next((status for kind, status in kinds if isinstance(refusal, kind)), 400)
