"""The whole server: guard, gate, sign-in, results, the pages, and the device behind them."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before Gradio is imported: nothing leaves this machine

import gradio as gr
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import JSONResponse, RedirectResponse, Response

from demo import account_routes, job_routes, pages, results
from demo.account_routes import SignIn, cookie_name
from demo.consents import Consents
from demo.device import Device, remove_unfinished
from demo.gate import MOUNT, Gate
from demo.jobs import Jobs
from demo.limits import Rate
from demo.retention import Retention
from demo.security import Guard, Refusals
from demo.services import Services
from demo.sessions import Logins, Sessions
from demo.settings import Settings
from demo.uploads import Inspector, Uploads
from demo.worker import MEMORY
from vasa_core.errors import SignInRefused, VasaError
from vasa_core.trust.accounts import Accounts
from vasa_core.trust.registry import Registry

LOG = logging.getLogger("vasa.demo")
STATIC = Path(__file__).resolve().parent / "static"
GPU = Path("/dev/nvidiactl")
SORRY = "Something went wrong on our side; try again, and tell an administrator if it stays so."


def create_app(settings: Settings) -> FastAPI:
    """The application. Opens (and makes, if need be) the house; its worker starts with the server."""
    services = open_services(settings)
    refusals = Refusals(services.registry.audit)
    logins = Logins(services.accounts)
    sign_in = SignIn(settings, services.accounts, services.sessions, logins, refusals, pages.login_page)
    app = FastAPI(lifespan=_lifespan, docs_url=None, redoc_url=None, openapi_url=None, title="vasa")
    app.state.services, app.state.refusals = services, refusals
    _add_answers_to_errors(app)
    _add_plain_routes(app, services)
    app.include_router(account_routes.router(sign_in))
    if settings.oidc is not None:
        app.include_router(account_routes.provider_router(sign_in))
    app.include_router(results.router(services, refusals))
    app.include_router(job_routes.router(services))
    for router in pages.routers(services):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    _mount_gradio(app, services)
    if settings.oidc is not None:  # Authlib keeps its state between two redirects here; nothing else does
        app.add_middleware(
            SessionMiddleware, secret_key=secrets.token_hex(32), session_cookie="vasa_oidc", max_age=600,
            same_site="lax", https_only=settings.secure,
        )  # fmt: skip
    uploads = Rate(settings.limits.uploads_per_hour, 3600)
    app.add_middleware(Gate, sessions=services.sessions, refusals=refusals, cookie=services.cookie, uploads=uploads)  # type: ignore[arg-type]
    app.add_middleware(Guard, settings=settings, refusals=refusals)  # type: ignore[arg-type]
    return app


def open_services(settings: Settings) -> Services:
    """What the pages may do, on this house's registry; nothing runs yet."""
    registry = Registry.open(settings.database, settings.home)
    accounts, queue = Accounts(registry.audit), Jobs(registry.audit, settings.limits)
    sessions = Sessions(registry.audit, settings.session_s, settings.idle_s)
    uploads = Uploads(registry, settings.limits, Rate(settings.limits.uploads_per_hour, 3600))
    environment = {"VASA_HOME": str(registry.home)}
    if not GPU.exists():  # drivers of graphics cards map far more than they use
        environment[MEMORY] = str(int(settings.limits.worker_bytes))
    if settings.database:
        environment["VASA_DATABASE"] = settings.database
    device = Device(
        queue, settings.limits, lambda job: services.prepare(job),
        lambda pid: remove_unfinished(registry.files, pid), environment,
    )  # fmt: skip
    rates = Rate(settings.limits.stills_per_minute, 60), Rate(settings.limits.verifications_per_minute, 60)
    book = Consents(registry, uploads, device, accounts)
    services = Services(
        settings, registry, accounts, sessions, queue, uploads, device, book, Inspector(environment),
        cookie_name(settings), *rates,
    )  # fmt: skip
    return services


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """From start to stop: one server a house, yesterday's unfinished work told of, the device served."""
    services: Services = app.state.services
    with Retention(services.registry, services.queue).claimed():
        interrupted = await run_in_threadpool(services.queue.recover)
        if interrupted:
            LOG.warning("%d unfinished jobs of the last run are reported as interrupted", interrupted)
        services.device.start()
        try:
            yield
        finally:
            await run_in_threadpool(services.device.stop)
            services.uploads.inspector.close()
            services.examiner.close()


def _mount_gradio(app: FastAPI, services: Services) -> None:
    blocks = pages.build(services)
    limits = services.settings.limits
    blocks.queue(default_concurrency_limit=8, max_size=500, api_open=False)

    def who(request: Request) -> str | None:
        """For Gradio itself; our gate has asked already."""
        account = services.sessions.find(request.cookies.get(services.cookie))
        return account.id if account is not None else None

    gr.mount_gradio_app(
        app, blocks, path=MOUNT, auth_dependency=who, allowed_paths=[], max_file_size=limits.upload_bytes,
        show_error=False, run_history=False, mcp_server=False, ssr_mode=False, pwa=False, enable_monitoring=False,
        **pages.mount_options(),
    )  # fmt: skip


def _add_plain_routes(app: FastAPI, services: Services) -> None:
    @app.get("/")
    def front() -> Response:
        return RedirectResponse(f"{MOUNT}/", 303)

    @app.get("/health")
    def health() -> Response:
        """For who watches over the server; says no more than that it is there, and whether its models are loaded."""
        return JSONResponse({"alive": True, "ready": services.device.ready.is_set()})

    @app.get("/favicon.ico")
    def icon() -> Response:
        return RedirectResponse("/static/mark.svg", 308)


def _add_answers_to_errors(app: FastAPI) -> None:
    """Every error is one sentence; what really happened stands in the server's log alone."""

    @app.exception_handler(VasaError)
    async def refused(request: Request, refusal: VasaError) -> Response:
        if isinstance(refusal, SignInRefused):
            services: Services = request.app.state.services
            forged = services.cookie in request.cookies
            await request.app.state.refusals.tell("forged_session" if forged else "not_signed_in", request.scope)
            return JSONResponse({"detail": str(refusal)}, 401)
        return JSONResponse({"detail": str(refusal)}, results.status_of(refusal))

    @app.exception_handler(HTTPException)
    async def known(request: Request, error: HTTPException) -> Response:
        said = {404: "There is no such page.", 405: "This cannot be done here."}.get(error.status_code, "Refused.")
        detail = said if error.detail in ("Not Found", "Method Not Allowed") else str(error.detail)
        return JSONResponse({"detail": detail}, error.status_code, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def misspelled(request: Request, error: RequestValidationError) -> Response:
        return JSONResponse({"detail": "The request is not as it should be."}, 422)

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        return JSONResponse({"detail": SORRY}, 500)
