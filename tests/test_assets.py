from __future__ import annotations

import hashlib
import json

import pytest
from conftest import REPOSITORY

from vasa_core.pictures import load_picture
from vasa_core.trust.consent import grant_for, pixels_sha256

ASSETS = REPOSITORY / "assets"
NOT_ASSETS = {"ablated_encoders.py", "ablations.py", "refresh.py", "teaser.py", "portraits/cast.json"}
LARGEST_WEIGHTS_BYTES = 60_000_000


def table() -> dict[str, tuple[str, str, str]]:
    """file -> (origin, licence, sha256), as ASSETS.md says."""
    rows = [line.split("|")[1:-1] for line in (ASSETS / "ASSETS.md").read_text().splitlines() if line.startswith("| `")]
    return {file.strip(" `"): (origin.strip(), licence.strip(), sha.strip(" `")) for file, origin, licence, sha in rows}


def present() -> dict[str, str]:
    """file -> sha256, as the files are."""
    files = [path for path in ASSETS.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    found = {path.relative_to(ASSETS).as_posix(): path for path in files}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in found.items()
        if name not in NOT_ASSETS and path.suffix != ".md" and not path.name.startswith(".")
    }


def test_the_table_lists_every_file_and_no_other():
    assert sorted(table()) == sorted(present()), "run `make assets`"


def test_every_hash_is_right():
    assert {file: sha for file, (_, _, sha) in table().items()} == present(), "run `make assets`"


def test_every_file_has_an_origin_and_a_licence():
    for file, (origin, licence, _) in table().items():
        assert len(origin) > 10, file
        assert licence, file


def test_the_weights_stay_small():
    assert sum(path.stat().st_size for path in (ASSETS / "weights").iterdir()) < LARGEST_WEIGHTS_BYTES


def test_the_first_look_has_faces_and_voices():
    assert len(portraits()) >= 4
    assert len([file for file in present() if file.startswith("voices/")]) >= 3


def portraits() -> list[str]:
    return [file for file in present() if file.startswith("portraits/") and file.endswith((".png", ".jpg", ".webp"))]


@pytest.mark.parametrize("portrait", portraits())
def test_each_portrait_is_known_as_our_own(portrait):
    picture = load_picture(ASSETS / portrait)
    assert grant_for(picture, None, "speak").basis == "our own cast"
    listed = json.loads((ASSETS / "portraits/cast.json").read_text())[portrait.split("/")[-1]]
    assert listed == {"file": present()[portrait], "pixels": pixels_sha256(picture)}


def test_the_cast_list_names_no_other_picture():
    listed = {f"portraits/{name}" for name in json.loads((ASSETS / "portraits/cast.json").read_text())}
    assert listed == set(portraits())
