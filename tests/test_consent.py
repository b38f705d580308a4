from __future__ import annotations

import copy
import dataclasses
import json
from datetime import date, timedelta

import numpy as np
import pytest
from PIL import Image

from vasa_core.errors import ConsentRefused
from vasa_core.trust import consent
from vasa_core.trust.consent import ATTESTATION, Grant, grant_for, pixels_sha256, read_statement, template

TODAY = date(2026, 6, 15)


@pytest.fixture
def portrait(tmp_path, picture):
    path = tmp_path / "someone.png"
    Image.fromarray(picture).save(path)
    return path


@pytest.fixture
def signed(tmp_path):
    """A filled-in consent file, with fields replaced or removed (None)."""

    def write(name="consent.json", **changes):
        fields = {
            "subject": "A. Person",
            "statement": "I agree.",
            "recorded_by": "B. Clerk",
            "date": "2026-06-01",
            "expiry": "2026-12-31",
            "purposes": ["speak"],
        }
        fields |= changes
        (tmp_path / name).write_text(json.dumps({k: v for k, v in fields.items() if v is not None}))
        return tmp_path / name

    return write


@pytest.fixture
def cast(tmp_path, monkeypatch, picture, portrait):
    """The test picture, declared one of our own cast."""
    entry = {"someone.png": {"file": consent.file_sha256(portrait), "pixels": pixels_sha256(picture)}}
    monkeypatch.setattr(consent, "CAST_LIST", tmp_path / "cast.json")
    (tmp_path / "cast.json").write_text(json.dumps(entry))


def test_a_stranger_is_refused_without_a_statement(picture, portrait):
    with pytest.raises(ConsentRefused, match="--consent"):
        grant_for(picture, portrait, "speak")


def test_our_own_cast_needs_no_statement(cast, picture, portrait):
    grant = grant_for(picture, portrait, "speak")
    assert grant.basis == "our own cast"
    assert grant.expiry is None


def test_our_own_cast_is_known_by_its_pixels_whatever_the_file(cast, picture):
    assert grant_for(picture, None, "look").basis == "our own cast"


def test_our_own_cast_with_one_pixel_changed_is_a_stranger(cast, picture):
    picture[0, 0, 0] ^= 1
    with pytest.raises(ConsentRefused):
        grant_for(picture, None, "speak")


def test_a_signed_statement_grants(picture, portrait, signed):
    grant = grant_for(picture, portrait, "speak", signed(), on=TODAY)
    assert grant.basis == "consent statement"
    assert grant.expiry == date(2026, 12, 31)
    grant.check("speak", on=TODAY)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"expiry": "2026-06-14"}, "ran out on 2026-06-14"),
        ({"date": "2026-06-16"}, "in the future"),
        ({"purposes": ["look"]}, "covers look, not 'speak'"),
        ({"purposes": []}, "for what"),
        ({"purposes": None}, "for what"),
        ({"portrait_sha256": "0" * 64}, "another picture"),
        ({"portrait": "someone_else.png"}, "for someone_else.png"),
        ({"subject": " "}, "'subject'"),
        ({"statement": None}, "'statement'"),
        ({"recorded_by": "FILL IN: who wrote this down"}, "'recorded_by'"),
        ({"expiry": None}, "'expiry'"),
        ({"expiry": "soon"}, "'expiry'"),
        ({"colour": "blue"}, "'colour'"),
    ],
)
def test_a_statement_that_does_not_fit_is_refused(picture, portrait, signed, changes, reason):
    with pytest.raises(ConsentRefused, match=reason):
        grant_for(picture, portrait, "speak", signed(**changes), on=TODAY)


@pytest.mark.parametrize("text", ["", "not toml at all", "subject = ", "[[["])
def test_a_file_that_is_no_statement_is_refused(tmp_path, text):
    (tmp_path / "consent.toml").write_text(text)
    with pytest.raises(ConsentRefused):
        read_statement(tmp_path / "consent.toml")


def test_a_missing_or_binary_consent_file_is_refused(tmp_path):
    with pytest.raises(ConsentRefused, match="cannot be read"):
        read_statement(tmp_path / "none.toml")
    (tmp_path / "c.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConsentRefused, match="not a consent file"):
        read_statement(tmp_path / "c.toml")
    (tmp_path / "c.json").write_text("[1]")
    with pytest.raises(ConsentRefused, match="not a consent file"):
        read_statement(tmp_path / "c.json")


def test_the_template_is_refused_until_it_is_filled_in(tmp_path, picture, portrait):
    path = tmp_path / "consent.toml"
    path.write_text(template(portrait))
    with pytest.raises(ConsentRefused, match="fill it in"):
        grant_for(picture, portrait, "speak", path)
    path.write_text(path.read_text().replace("FILL IN", "Filled in"))
    assert grant_for(picture, portrait, "speak", path).purpose == "speak"


def test_a_template_filled_in_for_one_portrait_does_not_serve_another(tmp_path, picture, portrait):
    path = tmp_path / "consent.toml"
    path.write_text(template(portrait).replace("FILL IN", "Filled in"))
    with pytest.raises(ConsentRefused, match="another picture"):
        grant_for(np.flipud(picture), None, "speak", path)


def test_the_template_of_a_leap_day_is_a_valid_statement(tmp_path):
    path = tmp_path / "consent.toml"
    path.write_text(template(on=date(2028, 2, 29)).replace("FILL IN", "Filled in"))
    assert read_statement(path).expiry == date(2029, 2, 28)


def answers(*replies):
    left = list(replies)
    return lambda question: left.pop(0)


def test_an_attestation_grants_for_today(picture, portrait):
    grant = grant_for(picture, portrait, "speak", ask=answers("A. Person", f" {ATTESTATION.upper()}. "), on=TODAY)
    assert (grant.basis, grant.expiry) == ("attestation", TODAY)


@pytest.mark.parametrize("replies", [("A. Person", "yes"), ("A. Person", ""), ("",)])
def test_a_half_hearted_attestation_is_refused(picture, portrait, replies):
    with pytest.raises(ConsentRefused, match="No consent was attested"):
        grant_for(picture, portrait, "speak", ask=answers(*replies))


def test_nobody_is_asked_when_a_statement_is_given(picture, portrait, signed):
    grant_for(picture, portrait, "speak", signed(), ask=answers(), on=TODAY)


def test_an_unknown_purpose_is_refused(cast, picture):
    with pytest.raises(ConsentRefused, match="'swap'"):
        grant_for(picture, None, "swap")


def test_a_grant_cannot_be_made_by_hand(grant):
    fields = {
        "grant_id": "x",
        "purpose": "speak",
        "basis": "our own cast",
        "pixels_sha256": "",
        "expiry": None,
        "mark": 1,
    }
    with pytest.raises(TypeError, match="grant_for"):
        Grant(**fields, seal=None)
    with pytest.raises((TypeError, ValueError)):
        dataclasses.replace(grant("look"), purpose="speak")
    with pytest.raises(dataclasses.FrozenInstanceError):
        grant("look").purpose = "speak"
    assert copy.copy(grant()).purpose == "speak"


def test_a_grant_is_for_one_purpose_one_picture_and_a_time(grant, picture):
    given = grant("look")
    given.check("look")
    with pytest.raises(ConsentRefused, match="not for 'speak'"):
        given.check("speak")
    with pytest.raises(ConsentRefused, match="ran out"):
        given.check("look", on=date.today() + timedelta(days=2))
    given.check_covers(picture)
    with pytest.raises(ConsentRefused, match="another portrait"):
        given.check_covers(np.flipud(picture))


def test_grant_ids_say_nothing_and_never_repeat(grant):
    ids = {grant().grant_id for _ in range(100)}
    assert len(ids) == 100


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "say which one"),
        ({"language": "fr"}, "not 'fr'"),
        ({"language": "en", "emotions": {"angry"}}, "not 'angry'"),
    ],
)
def test_a_use_beyond_the_languages_and_emotions_agreed_to_is_refused(picture, portrait, signed, asked, said):
    limited = signed(languages=["en", "ca"], emotions=["happy"])
    with pytest.raises(ConsentRefused, match=said):
        grant_for(picture, portrait, "speak", limited, on=TODAY, **asked)


def test_a_use_within_them_is_granted(picture, portrait, signed):
    limited = signed(languages=["en", "ca"], emotions=["happy"])
    assert grant_for(picture, portrait, "speak", limited, on=TODAY, language="ca", emotions={"happy", "neutral"})


def test_a_still_speaks_no_language(picture, portrait, signed):
    assert grant_for(picture, portrait, "look", signed(languages=["en"], purposes=["look"]), on=TODAY)
