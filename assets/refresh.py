"""Brings ASSETS.md and portraits/cast.json up to date with the files in this folder: `make assets`.

Origin and licence of a known file are kept as written; a new file gets its folder's, to be made exact by hand.
"""

from __future__ import annotations

import json
from pathlib import Path

from vasa_core.assets import FOLDER
from vasa_core.pictures import load_picture
from vasa_core.trust.consent import CAST_LIST, file_sha256, pixels_sha256

TABLE = FOLDER / "ASSETS.md"
HEADER = """# Assets

Every file in this folder: what it is made from, its licence and its sha256. `make assets` refreshes the hashes after a
file changes; `tests/test_assets.py` compares. Nothing here shows or imitates a real person.

| file | origin | licence | sha256 |
|---|---|---|---|
"""
ORIGINS = {
    "ablations": "trained by `vasa_core.train.encoders` without some losses; see ablated_encoders.py",
    "held_out": "rendered by `vasa_core.evaluate.held_out`, shows nobody",
    "judging": "synthetic voices performed by `vasa_core.train.judges lines`",
    "portraits": "rendered by `vasa_core.world`, shows nobody; see portraits/PORTRAITS.md",
    "reports": "written by `vasa evaluate face --json`, `vasa evaluate motion --json` and `vasa evaluate marks --json`",
    "voices": "synthetic voice; synthesiser and command in voices/VOICES.md",
    "weights": "trained by `vasa_core.train`; see MODEL_CARD.md",
}
LICENCE = "Apache-2.0"
PICTURES = (".png", ".jpg", ".webp")
NOT_ASSETS = ("ablated_encoders.py", "ablations.py", "refresh.py", "teaser.py", "portraits/cast.json")


def files() -> list[Path]:
    """Every asset, in the order of the table."""
    found = (path for path in FOLDER.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sorted(
        path
        for path in found
        if name(path) not in NOT_ASSETS and path.suffix != ".md" and not path.name.startswith(".")
    )


def name(path: Path) -> str:
    """The file's path in this folder, as the table writes it."""
    return path.relative_to(FOLDER).as_posix()


def known_rows() -> dict[str, list[str]]:
    """The rows of the table as it stands: file -> [origin, licence, sha256]."""
    if not TABLE.is_file():
        return {}
    rows = [line.split("|")[1:-1] for line in TABLE.read_text().splitlines() if line.startswith("| `")]
    return {file.strip(" `"): [origin.strip(), licence.strip(), sha.strip(" `")] for file, origin, licence, sha in rows}


def main() -> None:
    """Rewrites the table and the cast list."""
    known, rows = known_rows(), []
    for path in files():
        file = name(path)
        origin, licence, _ = known.get(file, [ORIGINS.get(path.parent.name, "of our own making"), LICENCE, ""])
        rows.append(f"| `{file}` | {origin} | {licence} | `{file_sha256(path)}` |")
    TABLE.write_text(HEADER + "\n".join(rows) + "\n")
    portraits = [path for path in files() if path.parent.name == "portraits" and path.suffix in PICTURES]
    cast = {p.name: {"file": file_sha256(p), "pixels": pixels_sha256(load_picture(p))} for p in portraits}
    CAST_LIST.write_text(json.dumps(cast, indent=2) + "\n")
    print(f"{len(rows)} files in {TABLE.name}, {len(cast)} portraits in {CAST_LIST.name}")


if __name__ == "__main__":
    main()
