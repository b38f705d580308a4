"""What a file carries, told to anyone: credentials, watermark, both, neither, or marks that do not fit the file.

    findings = examine("clip.mp4", House.at())
    print(*findings.sentences)

The visible label is not judged: it is there for eyes. Nobody is named; whoever asks learns what the file says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from jaxtyping import UInt8

from vasa_core.errors import BadInput, BadPortrait
from vasa_core.pictures import load_picture
from vasa_core.trust.consent import CAST, file_sha256
from vasa_core.trust.credentials import Credentials, Seal, read_credentials
from vasa_core.trust.house import House
from vasa_core.trust.watermark import Reading, read

WINDOW_FRAMES = 125
WINDOWS = 12
"""Looked at one after the other until one is read: a minute at 25 frames a second."""

FOUND, NOT_FOUND, TAMPERED = 0, 20, 21
"""Exit codes of `vasa verify`: marks of this house, found and whole; none of them; marks that do not fit the file."""

LARGEST_SIDE_PX = 8192

Luma = UInt8[np.ndarray, "height width"]
Carries = Literal["both", "credentials", "watermark", "neither", "tampered"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """What was found in one file."""

    carries: Carries
    """What this house put there and can still read, or "tampered"; credentials of others do not count."""
    credentials: Credentials
    watermark: Reading | None
    """None where no watermark of this house was found."""
    false_alarm: float
    """How often a file without our watermark would pass for one that bears it, with as many looks as were taken."""
    made_at: datetime | None
    """When the grant was given that it was made under; None where this house knows of none."""
    sentences: tuple[str, ...]
    """All of this in plain words; the first is the verdict."""

    @property
    def exit_code(self) -> int:
        """What `vasa verify` ends with."""
        return {"neither": NOT_FOUND, "tampered": TAMPERED}.get(self.carries, FOUND)


def examine(path: Path | str, house: House) -> Findings:
    """What this picture or video carries; BadInput where it is neither."""
    path = Path(path)
    if not path.is_file():
        raise BadInput(f"There is no file {path}.")
    reading, false_alarm = _watermark(path, house.watermark_key)
    credentials = read_credentials(path, house.authority)
    known = house.registry.made_with(reading.payload) if reading else None
    wrong = _contradiction(path, credentials, known, house)
    carries = "tampered" if wrong else _carries(credentials, reading)
    return Findings(
        carries=carries,
        credentials=credentials,
        watermark=reading,
        false_alarm=false_alarm,
        made_at=known["granted_at"] if known else None,
        sentences=(wrong or VERDICTS[carries], *_details(credentials, reading, known, false_alarm)),
    )


def _carries(credentials: Credentials, reading: Reading | None) -> Carries:
    ours = credentials.seal == "ours"
    if reading is None:
        return "credentials" if ours else "neither"
    return "both" if ours else "watermark"


def _contradiction(path: Path, credentials: Credentials, known: Mapping[str, Any] | None, house: House) -> str | None:
    """Why the file's marks cannot be believed together; None where nothing speaks against them."""
    if credentials.seal == "tampered":
        return "TAMPERED: the file was changed after it was signed; do not trust what it says of itself."
    if credentials.seal != "ours" or credentials.grant_id is None:
        return None
    if known is not None and known["id"] != credentials.grant_id:
        return "TAMPERED: its credentials and its watermark belong to two different releases."
    if not _is_as_released(path, credentials.grant_id, house):
        return "TAMPERED: its pictures are as they were signed, but the file around them is not as it left this house."
    return None


def seal_of(path: Path, house: House) -> Seal:
    """The verdict on the credentials alone: "ours" only where every byte is as it left this house."""
    credentials = read_credentials(path, house.authority)
    if credentials.seal != "ours" or credentials.grant_id is None:
        return credentials.seal
    return "ours" if _is_as_released(path, credentials.grant_id, house) else "tampered"


def _is_as_released(path: Path, grant_id: str, house: House) -> bool:
    """C2PA leaves a kilobyte of padding and some names unprotected; the audit knows the sha256 of all that left."""
    left = house.released(grant_id)
    return not left or file_sha256(path) in left


# ---- the watermark ------------------------------------------------------------------------------------------------


def _watermark(path: Path, key: bytes) -> tuple[Reading | None, float]:
    """The first reading to believe in, and how often that many looks would find one by chance."""
    looks = 0
    for lumas in _windows(path):
        reading, looks = read(lumas, key), looks + 1
        if reading is not None and reading.fits:
            return reading, min(1.0, looks * reading.false_alarm)
    return None, 0.0


def _windows(path: Path) -> Iterator[list[Luma]]:
    """What is looked at together: the picture, or stretches of five seconds of a video."""
    try:
        red, green, blue = np.moveaxis(load_picture(path), -1, 0).astype(np.float32)
        yield [np.round(0.299 * red + 0.587 * green + 0.114 * blue).astype(np.uint8)]
        return
    except BadPortrait as no_picture:
        lumas = _video_lumas(path, no_picture)
    for _ in range(WINDOWS):
        window = list(islice(lumas, WINDOW_FRAMES))
        if not window:
            return
        yield window


def _video_lumas(path: Path, no_picture: BadPortrait) -> Iterator[Luma]:
    """The luma of each frame; what is cut off at the end is read as far as it goes."""
    seen = False
    try:
        with av.open(str(path)) as file:
            if not file.streams.video:
                raise BadInput(f"{path.name} shows nothing: it has sound alone.")
            for frame in _decoded(file):
                if max(frame.width, frame.height) > LARGEST_SIDE_PX:
                    raise BadInput(f"{path.name} is too large to look at; scale it down.")
                yield frame.to_ndarray(format="gray")
                seen = True
    except (av.error.FFmpegError, OSError):
        if not seen:
            raise BadInput(f"{path.name} is neither a picture nor a video that we can read.") from no_picture


def _decoded(file: av.container.InputContainer) -> Iterator[av.VideoFrame]:
    """All frames that can be decoded: what is damaged is left out, what comes before the end of a cut file is not."""
    stream = file.streams.video[0]
    with suppress(av.error.FFmpegError):
        for packet in file.demux(stream):
            with suppress(av.error.InvalidDataError):
                yield from packet.decode()
    with suppress(av.error.FFmpegError):  # after a cut the decoder still holds some; after a proper end, none
        yield from stream.codec_context.decode(None)


# ---- in plain words -----------------------------------------------------------------------------------------------

VERDICTS = {
    "both": "MADE HERE, UNCHANGED: the file is AI-generated by this studio and exactly as it was released.",
    "credentials": "MADE HERE, UNCHANGED: signed by this studio as AI-generated; its watermark cannot be read.",
    "watermark": "MADE HERE, PASSED ON: AI-generated by this studio, then re-encoded, cropped or otherwise changed.",
    "neither": "NOTHING FOUND: this file bears no mark of this studio. It may still be AI-generated, by somebody else.",
}


def _details(
    credentials: Credentials, reading: Reading | None, known: Mapping[str, Any] | None, false_alarm: float
) -> Iterator[str]:
    yield _about_credentials(credentials)
    if reading is None:
        yield "Watermark: none of this studio's."
        return
    chance = f"fewer than one unmarked file in {_round(1 / max(false_alarm, 1e-12))} would look like this"
    yield f"Watermark: found, {reading.agreement:.0%} of its parts as they were written; {chance}."
    if known is not None:
        shown = "a person who does not exist" if known["basis"] == CAST else "a person, on a recorded consent"
        yield f"The audit knows it: allowed on {known['granted_at']:%d %B %Y}, showing {shown}."
    else:
        yield "The audit of this studio does not know the release that the watermark names."


def _about_credentials(credentials: Credentials) -> str:
    by = f"signed by {credentials.signed_by or 'nobody named'} with {credentials.made_with or 'unknown software'}"
    photograph = ", from a photograph" if credentials.from_photograph else ""
    claims = f"; they call it AI-generated{photograph}" if credentials.claims_ai else ""
    if credentials.seal == "none":
        return "Credentials: none; most places that re-encode a file take them out."
    if credentials.seal == "tampered":
        return "Credentials: there, but they do not fit the file."
    whose = "this studio's own" if credentials.seal == "ours" else "valid, of somebody this studio does not know"
    return f"Credentials: {whose}, {by}{claims}."


def _round(number: float) -> str:
    """1234567 as "1 million": an order of magnitude is all that such a figure is worth."""
    for size, word in ((1e12, "a million million"), (1e9, "a billion"), (1e6, "a million")):
        if number >= size:
            return word
    return f"{number:.0f}"
