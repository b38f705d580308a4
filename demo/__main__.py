"""`python -m demo`: makes its house at the first start, says where to go and how to let somebody in, and serves."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

from vasa_core.errors import VasaError

if TYPE_CHECKING:
    from demo.settings import Settings


def welcome(settings: Settings, *, nobody_yet: bool) -> str:
    """What a person at the terminal needs to know."""
    lines = [f"The studio is at {settings.address}", f"Its house, with keys, database and files: {settings.home}"]
    if nobody_yet:
        lines.append("Nobody can sign in yet. In another terminal, make the first administrator:")
        lines.append("    .venv/bin/vasa app user add NAME --role administrator")
    lines.append("Ctrl-C stops it.")
    return "\n".join(lines)


def main() -> None:
    """Serves until it is stopped."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        _serve()
    except VasaError as refusal:
        print(f"vasa: {refusal}", file=sys.stderr)
        sys.exit(refusal.exit_code)


def _serve() -> None:
    from demo.retention import check_free
    from demo.settings import settings_from

    settings = settings_from()
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    check_free(settings.home)
    os.environ["GRADIO_TEMP_DIR"] = str(settings.home / "files" / "browser")  # read when Gradio is imported
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["VASA_HOME"] = str(settings.home)
    import uvicorn

    from demo.server import create_app

    app = create_app(settings)
    print(welcome(settings, nobody_yet=app.state.services.accounts.is_empty()), flush=True)
    uvicorn.run(
        app, host=settings.host, port=settings.port, log_level="warning", server_header=False, access_log=False,
        proxy_headers=settings.behind_proxy, timeout_graceful_shutdown=3, ws_max_size=1 << 20,
    )  # fmt: skip


if __name__ == "__main__":
    main()
