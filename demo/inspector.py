"""What an uploaded file really is, found out in a process that may fall over: `python -m demo.inspector`.

A file is taken for a picture or a sound by its first bytes alone, then by decoding it whole within bounds of size,
length and memory. Names and declared types are ignored. Whatever is refused here never reaches the engine.
"""

from __future__ import annotations

import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

from demo.child import ChildDied, bound_memory, line_to_parent
from vasa_core.errors import BadInput, BadOption, BadPortrait, BadSound

MEMORY_BYTES = 2_000_000_000
HEAD_BYTES = 64
CAPTURE_S = 31.0
CAPTURE_PIXELS = 1920 * 1080
ISO_PICTURES = (b"heic", b"heix", b"hevc", b"heim", b"mif1", b"msf1", b"avif", b"avis")
ISO_SOUNDS = (
    b"isom",
    b"iso2",
    b"iso4",
    b"iso5",
    b"iso6",
    b"mp41",
    b"mp42",
    b"M4A ",
    b"M4V ",
    b"qt  ",
    b"dash",
    b"avc1",
)


def picture_kind(head: bytes) -> str | None:
    """Pillow's name of the picture format that begins so; None for anything else, SVG and archives among it."""
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:4] in (b"II*\0", b"MM\0*"):
        return "TIFF"
    if head[4:8] == b"ftyp" and head[8:12] in ISO_PICTURES:
        return "AVIF" if head[8:11] == b"avi" else "HEIF"
    return None


def sound_kind(head: bytes) -> str | None:
    """FFmpeg's name of the container that begins so. Playlists are none: they could name other files to be read."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "wav"
    if head.startswith((b"fLaC", b"OggS")):
        return "flac" if head.startswith(b"fLaC") else "ogg"
    if head.startswith(b"ID3") or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2):
        return "mp3"
    if head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xF6 == 0xF0:
        return "aac"
    if head[4:8] == b"ftyp" and head[8:12] in ISO_SOUNDS:
        return "mp4"
    return "matroska" if head.startswith(b"\x1aE\xdf\xa3") else None


SUFFIXES = {
    "JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tiff", "HEIF": ".heic", "AVIF": ".avif",
    "wav": ".wav", "flac": ".flac", "ogg": ".ogg", "mp3": ".mp3", "aac": ".aac", "mp4": ".m4a", "matroska": ".webm",
    "text": ".txt", "pdf": ".pdf",
}  # fmt: skip


def inspect(kind: str, path: Path, bounds: dict[str, float]) -> dict[str, Any]:
    """What the file is: its suffix and measures; BadInput says in one sentence why it is refused."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise BadInput("The file is empty; choose another.")
    if kind == "marks":
        return _marks(path, head)
    if kind == "picture":
        return _inspected_picture(path, picture_kind(head), int(bounds["picture_pixels"]))
    if kind == "sound":
        return _inspected_sound(path, sound_kind(head), bounds["sound_s"])
    if kind == "capture":
        return _inspected_capture(path, sound_kind(head))
    if kind == "document":
        return _inspected_document(path, head)
    raise BadOption("A file is a picture, a sound or a document, not this.")


def _inspected_picture(path: Path, found: str | None, most_pixels: int) -> dict[str, Any]:
    from PIL import Image
    from pillow_heif import register_heif_opener

    from vasa_core.pictures import load_picture

    if found is None:
        raise BadPortrait("This is not a picture we take; use JPEG, PNG, WebP, HEIC, AVIF or TIFF.")
    register_heif_opener()
    Image.MAX_IMAGE_PIXELS = None  # ours is stricter, and a refusal rather than a warning
    try:
        with warnings.catch_warnings(), Image.open(path, formats=[found]) as opened:
            warnings.simplefilter("ignore")
            width, height = opened.size
    except (OSError, SyntaxError, ValueError, EOFError, RuntimeError, MemoryError):
        raise BadPortrait("The picture is damaged or cut off; copy or download it again.") from None
    if width * height > most_pixels:
        millions = most_pixels / 1e6
        raise BadPortrait(f"The picture has more than {millions:g} million pixels; scale it down.")
    try:
        load_picture(path)
    except BadPortrait:
        raise BadPortrait("The picture is damaged or cut off; copy or download it again.") from None
    except MemoryError:
        raise BadPortrait("The picture needs too much memory; scale it down.") from None
    return {"suffix": SUFFIXES[found], "width": width, "height": height}


def _inspected_sound(path: Path, found: str | None, longest_s: float) -> dict[str, Any]:
    import av

    if found is None:
        raise BadSound("This is not a sound we take; use WAV, MP3, FLAC, OGG, M4A, WebM or MP4.")
    try:
        with av.open(str(path), format=found) as file:
            stream = file.streams.best("audio")
            if stream is None:
                raise BadSound("There is no sound in this file; choose one with an audio track.")
            seconds = 0.0
            for frame in file.decode(stream):  # what is declared may be wrong; what decodes is not
                assert isinstance(frame, av.AudioFrame)
                seconds += frame.samples / frame.sample_rate
                if seconds > longest_s:
                    raise BadSound(f"The sound is longer than {longest_s:g} seconds; cut it.")
    except (av.error.FFmpegError, MemoryError, ValueError, ZeroDivisionError):
        raise BadSound("The sound is damaged or cut off; export it again.") from None
    if seconds == 0:
        raise BadSound("The sound has no length; record or export it again.")
    return {"suffix": SUFFIXES[found], "seconds": seconds}


def _inspected_capture(path: Path, found: str | None) -> dict[str, Any]:
    """A short video with sound from a camera; its pictures are counted and measured, not kept."""
    import av

    if found not in ("mp4", "matroska"):
        raise BadInput("This is not a video we take; record it with the camera again.")
    measured = _inspected_sound(path, found, CAPTURE_S)
    try:
        with av.open(str(path), format=found) as file:
            stream = file.streams.best("video")
            if not isinstance(stream, av.VideoStream) or stream.width * stream.height > CAPTURE_PIXELS:
                raise BadInput("The video has no picture, or one that is too large; record it with the camera again.")
            pictures = 0
            for _ in file.decode(stream):
                pictures += 1
                if pictures > CAPTURE_S * 60:
                    raise BadInput("The video is too long; record it again.")
    except (av.error.FFmpegError, MemoryError, ValueError):
        raise BadInput("The video is damaged or cut off; record it again.") from None
    return {"suffix": ".mp4" if found == "mp4" else ".webm", "seconds": measured["seconds"], "pictures": pictures}


def _inspected_document(path: Path, head: bytes) -> dict[str, Any]:
    """A signed statement: text, a scan as a picture, or a PDF, which is kept and never opened."""
    if head.startswith(b"%PDF-"):
        return {"suffix": ".pdf"}
    if (found := picture_kind(head)) is not None:
        return _inspected_picture(path, found, 40_000_000)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BadInput("A statement is a text, a PDF or a picture of the signed paper.") from None
    if "\0" in text or len(text) > 100_000 or text.lstrip()[:1] == "<":
        raise BadInput("A statement is a plain text, a PDF or a picture of the signed paper.")
    return {"suffix": ".txt"}


def _marks(path: Path, head: bytes) -> dict[str, Any]:
    """What credentials and watermark of ours a picture or a video carries; for the public page."""
    from vasa_core.trust.house import House
    from vasa_core.trust.verify import examine

    if picture_kind(head) is None and sound_kind(head) not in ("mp4", "matroska"):
        raise BadInput("This is neither a picture nor a video that we can read; use JPEG, PNG, WebP, MP4 or WebM.")
    try:
        told = asdict(examine(path, House.at()))
    except MemoryError:
        raise BadInput("The file needs too much memory; choose a smaller one.") from None
    return told | {"made_at": told["made_at"].isoformat() if told["made_at"] else None}


def main() -> None:
    """Answers one request after the other until the server hangs up."""
    bound_memory(MEMORY_BYTES)
    line = line_to_parent()
    try:
        while received := line.receive():
            asked, _ = received
            try:
                line.send({"found": inspect(asked["kind"], Path(asked["path"]), asked["bounds"])})
            except BadInput as refusal:
                line.send({"refused": str(refusal)})
    except ChildDied:
        return


if __name__ == "__main__":
    main()
