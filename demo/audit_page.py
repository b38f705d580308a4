"""Audit: who made what and with whose consent; approve what waits, take back what should never have been.

Reviewers see the consents, administrators the whole log besides. The page itself is `static/audit.js`; here are the
addresses that it asks.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Query, Request

from demo.services import Services
from vasa_core.trust.chain import Entry

EVENTS = {
    "consent_recorded": "Consent recorded",
    "consent_approved": "Consent approved",
    "consent_expired": "Consent run out",
    "paper_seen": "Statement looked at",
    "revoked": "Consent taken back",
    "granted": "Leave given",
    "refused": "Refused",
    "generated": "Made",
    "downloaded": "Downloaded",
    "deleted": "Deleted",
    "login": "Signed in",
    "login_refused": "Sign-in refused",
    "access_refused": "Access refused",
    "logout": "Signed out",
    "job_failed": "Job failed",
}
MOST = 200


def panel() -> str:
    """An element of ours that asks the addresses below."""
    return "<vs-audit></vs-audit>"


def router(services: Services) -> APIRouter:
    """`/audit`, for administrators (the services check)."""
    made = APIRouter()

    @made.get("/audit")
    def audit(
        request: Request, like: str = Query("", max_length=80), limit: int = Query(50, ge=1, le=MOST)
    ) -> dict[str, Any]:
        """The newest entries, and whether the chain is sound."""
        account = services.account(request)
        entries, verdict, names = services.trail(account, limit, like), services.chain(account), services.names(account)
        return {
            "sound": verdict.sound,
            "count": verdict.count,
            "finding": verdict.finding,
            "entries": [_as_json(entry, names) for entry in entries],
        }

    return made


def _as_json(entry: Entry, names: dict[str, str]) -> dict[str, Any]:
    return {
        "number": entry.number,
        "at": str(entry.at),
        "event": EVENTS.get(entry.event, entry.event.replace("_", " ").capitalize()),
        "kind": entry.event,
        "actor": names.get(entry.actor, entry.actor),
        "facts": {name: names.get(str(value), str(value)) for name, value in entry.facts.items() if value is not None},
    }
