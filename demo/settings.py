"""What an installation of the demo may decide: where it listens, where it keeps things, who else vouches for people."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from demo.limits import Limits, limits_from
from vasa_core.errors import BadOption


@dataclass(frozen=True, kw_only=True, slots=True)
class Oidc:
    """An identity provider that people may sign in with besides a password."""

    metadata_url: str
    """The provider's `.well-known/openid-configuration`."""
    client_id: str
    client_secret: str
    name: str = "your organisation"
    admits: bool = False
    """Whether somebody unknown becomes a viewer; else an administrator first links the account."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """One installation of the demo."""

    home: Path
    database: str | None = None
    host: str = "127.0.0.1"
    port: int = 7860
    public_url: str | None = None
    """The address people type, where it is not this machine's own: https://studio.example.org"""
    behind_proxy: bool = False
    """Whether a proxy on this machine adds X-Forwarded-For; believed only then, or throttling could be dodged."""
    oidc: Oidc | None = None
    session_s: float = 12 * 3600.0
    idle_s: float = 3600.0
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not self.public_url and not _is_loopback(self.host):
            raise BadOption(f"To listen on {self.host}, set VASA_PUBLIC_URL to the address that people will type.")
        if self.public_url and urlsplit(self.public_url).scheme not in ("http", "https"):
            raise BadOption(f"VASA_PUBLIC_URL must begin with https:// or http://, not be {self.public_url}.")

    @property
    def address(self) -> str:
        """Where people go."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def secure(self) -> bool:
        """Whether browsers come by https."""
        return self.address.startswith("https://")

    @property
    def origins(self) -> frozenset[str]:
        """What a browser on our own pages says where it comes from; everybody else is a stranger."""
        own = {f"http://{name}:{self.port}" for name in ("127.0.0.1", "localhost")}
        return frozenset({_origin(self.public_url)} if self.public_url else own)

    @property
    def hosts(self) -> frozenset[str]:
        """The names we answer to: a page elsewhere whose name was made to point here (rebinding) gets nothing."""
        return frozenset(origin.partition("://")[2] for origin in self.origins)


def settings_from(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings an environment asks for, with usual values elsewhere."""
    home = environment.get("VASA_HOME")
    return Settings(
        home=Path(home).expanduser() if home else Path.home() / ".vasa",
        database=environment.get("VASA_DATABASE"),
        host=environment.get("VASA_HOST", "127.0.0.1"),
        port=_port(environment.get("VASA_PORT", "7860")),
        public_url=environment.get("VASA_PUBLIC_URL"),
        behind_proxy=environment.get("VASA_BEHIND_PROXY", "") not in ("", "0"),
        oidc=_oidc(environment),
        limits=limits_from(environment),
    )


def _oidc(environment: Mapping[str, str]) -> Oidc | None:
    names = {"metadata_url": "VASA_OIDC_URL", "client_id": "VASA_OIDC_ID", "client_secret": "VASA_OIDC_SECRET"}
    given = {field_: environment[name] for field_, name in names.items() if environment.get(name)}
    if not given:
        return None
    if missing := sorted(names[f] for f in names.keys() - given.keys()):
        raise BadOption(f"To sign in through a provider, set {missing[0]} too.")
    admits = environment.get("VASA_OIDC_ADMITS", "") not in ("", "0")
    return Oidc(**given, name=environment.get("VASA_OIDC_NAME", "your organisation"), admits=admits)


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise BadOption(f"VASA_PORT must be a port number, not '{text}'.")
    return int(text)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
