"""Content Credentials (C2PA): who made a file, with what, from what, and that nothing changed since. No network.

Signed last, over the finished file. The claim says `c2pa.created` by a trained algorithm, or a composite with one where
a person's photograph went in: then the photograph is an ingredient, with its own credentials if it bears any. Persons
are named nowhere: our own assertion carries the opaque grant id.
"""

from __future__ import annotations

import json
import mmap
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vasa_core.errors import VasaError
from vasa_core.trust.consent import CAST, Grant

if TYPE_CHECKING:
    from vasa_core.trust.authority import Authority

SIGNATURES = (
    ("video/mp4", 4, b"ftyp"),
    ("image/png", 0, b"\x89PNG"),
    ("image/jpeg", 0, b"\xff\xd8\xff"),
    ("image/webp", 8, b"WEBP"),
)
"""How each kind of file that can bear credentials begins: its name, and which bytes stand where."""

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
MADE = SOURCE_TYPE + "trainedAlgorithmicMedia"
MADE_FROM_PHOTOGRAPH = SOURCE_TYPE + "compositeWithTrainedAlgorithmicMedia"
GRANT_ASSERTION = "org.vasa-core.grant"
NOT_FOR_TRAINING = ("cawg.ai_training", "cawg.ai_generative_training", "cawg.data_mining", "cawg.ai_inference")

OFFLINE = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True},
    "builder": {"thumbnail": {"enabled": False}},
}

PHOTOGRAPH = "photograph"
TRACE = b"c2pa.claim"

Seal = Literal["none", "ours", "foreign", "tampered"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """What a file says of itself, and whether to believe it."""

    seal: Seal
    """"ours": valid and signed here; "foreign": valid, by somebody else; "tampered": what is there does not fit."""
    grant_id: str | None = None
    signed_by: str | None = None
    made_with: str | None = None
    from_photograph: bool = False
    claims_ai: bool = False


def sign(finished: Path, signed: Path, grant: Grant, software: str, by: Authority, photo: Path | None = None) -> None:
    """Writes a signed copy of a finished file; `photo` is the picture of a person that it was made from, if at hand."""
    import c2pa  # half a second, and only where something is released or verified

    with _signer(by) as signer, c2pa.Context.from_dict(OFFLINE) as context:
        claim = _claim(grant, software)
        bearer = _bearing_credentials(photo) if photo is not None and grant.basis != CAST else None
        if bearer is None and grant.basis != CAST:
            claim["ingredients"] = [_ingredient()]
        with c2pa.Builder(json.dumps(claim), context) as builder:
            if bearer is not None:
                with bearer.open("rb") as photograph:
                    builder.add_ingredient(json.dumps(_ingredient()), str(content_format(bearer)), photograph)
            with finished.open("rb") as source, signed.open("w+b") as target:
                builder.sign(signer, str(content_format(finished)), source, target)


@contextmanager
def _signer(by: Authority) -> Iterator[Any]:
    """C2PA's signer; what it does not like about certificate, key or file is told in one sentence."""
    import c2pa

    algorithm = c2pa.C2paSigningAlg[by.algorithm]
    chain, key = by.certificates.encode(), by.key.encode()
    try:
        material = c2pa.C2paSignerInfo(alg=algorithm, sign_cert=chain, private_key=key, ta_url=None)
        with c2pa.Signer.from_info(material) as signer:
            yield signer
    except c2pa.C2paError as failure:
        raise VasaError(f"The credentials could not be signed: {failure}.") from None


def _claim(grant: Grant, software: str) -> dict[str, Any]:
    name, _, version = software.partition(" ")
    agent = {"name": name, "version": version or "unknown"}
    made: dict[str, Any] = {"action": "c2pa.created", "digitalSourceType": MADE, "softwareAgent": agent}
    if grant.basis != CAST:
        made |= {"digitalSourceType": MADE_FROM_PHOTOGRAPH, "parameters": {"ingredientIds": [PHOTOGRAPH]}}
    mining = {"entries": {use: {"use": "notAllowed"} for use in NOT_FOR_TRAINING}}
    return {
        "claim_generator_info": [agent],
        "title": "AI-generated portrait",
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [made]}},
            {"label": "cawg.training-mining", "data": mining},
            {"label": GRANT_ASSERTION, "data": {"grant": grant.grant_id, "purpose": grant.purpose}},
        ],
    }


def _ingredient() -> dict[str, str]:
    """The photograph, without its pixels and without a name."""
    told = {"title": "portrait photograph", "relationship": "inputTo", "label": PHOTOGRAPH}
    return told | {"format": "image/*", "instance_id": f"xmp:iid:{secrets.token_hex(16)}"}


def _bearing_credentials(photo: Path) -> Path | None:
    """The photograph's file if it bears credentials of its own, which then are kept."""
    return photo if _manifests(photo, OFFLINE) else None


# ---- reading ------------------------------------------------------------------------------------------------------


def read_credentials(path: Path, by: Authority) -> Credentials:
    """What a file's credentials say, and whether they are valid and ours. Photographs that went in are not judged."""
    told = _manifests(path, _trusting(by.own_root))
    if told is None:
        return Credentials(seal="tampered" if _bears_traces(path) else "none")
    active = told["manifests"][told["active_manifest"]]
    signature = active.get("signature_info") or {}
    maker = (active.get("claim_generator_info") or [{}])[0]
    return Credentials(
        seal=_seal(path, told["validation_state"], signature, by),
        grant_id=_assertion(active, GRANT_ASSERTION).get("grant"),
        signed_by=signature.get("common_name") or signature.get("issuer"),
        made_with=f"{maker.get('name', '')} {maker.get('version', '')}".strip() or None,
        from_photograph=bool(active.get("ingredients")),
        claims_ai="rainedAlgorithmicMedia" in json.dumps(_assertion(active, "c2pa.actions.v2")),
    )


def _trusting(root: str) -> dict[str, Any]:
    return OFFLINE | {"trust": {"user_anchors": root}}


def _seal(path: Path, state: str, signature: dict[str, Any], by: Authority) -> Seal:
    """C2PA calls "Trusted" what is valid under a root we trust, "Valid" what is whole, whoever made it."""
    if state not in ("Valid", "Trusted"):
        return "tampered"
    if state == "Trusted":
        return "ours"
    if by.brought_root and signature.get("cert_serial_number") == by.brought_serial:
        again = _manifests(path, _trusting(by.brought_root))
        return "ours" if again is not None and again["validation_state"] == "Trusted" else "foreign"
    return "foreign"


def _assertion(manifest: dict[str, Any], label: str) -> dict[str, Any]:
    found = [a["data"] for a in manifest.get("assertions", ()) if a.get("label") == label]
    return found[0] if found and isinstance(found[0], dict) else {}


def _manifests(path: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """C2PA's own report on a file; None where there are no credentials that it can read."""
    import c2pa

    format_ = content_format(path)
    if format_ is None:
        return None
    try:
        with (
            path.open("rb") as file,
            c2pa.Context.from_dict(settings) as context,
            c2pa.Reader(format_, file, context=context) as reader,
        ):
            told = json.loads(reader.json())
    except c2pa.C2paError:
        return None
    return told if told.get("active_manifest") in told.get("manifests", {}) else None


def content_format(path: Path) -> str | None:
    """The kind of file, by how it begins; None where it cannot bear credentials."""
    with path.open("rb") as file:
        start = file.read(16)
    return next((kind for kind, at, bytes_ in SIGNATURES if start[at : at + len(bytes_)] == bytes_), None)


def _bears_traces(path: Path) -> bool:
    """Whether a claim lies in the file though C2PA cannot read it."""
    if path.stat().st_size == 0:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(TRACE) >= 0
