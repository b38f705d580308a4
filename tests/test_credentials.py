from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta

import c2pa
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from PIL import Image

from vasa_core.errors import BadOption, VasaError
from vasa_core.trust import authority as authorities
from vasa_core.trust.authority import CERTIFICATE, KEY, authority
from vasa_core.trust.consent import granted_on_cast
from vasa_core.trust.credentials import OFFLINE, content_format, read_credentials, sign
from vasa_core.trust.release import release_video, software

PEM = serialization.Encoding.PEM


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    return authority(tmp_path_factory.mktemp("house") / "keys", {})


@pytest.fixture
def ours():
    """A grant for one of the cast, and so without a consent."""
    return granted_on_cast("look", "0" * 64)


@pytest.fixture
def finished(tmp_path, picture):
    path = tmp_path / "finished.png"
    Image.fromarray(picture).save(path)
    return path


def told(path, root=""):
    """What C2PA itself says, by its own reader."""
    settings = OFFLINE | ({"trust": {"user_anchors": root}} if root else {})
    with c2pa.Context.from_dict(settings) as context, c2pa.Reader(str(path), context=context) as reader:
        report = json.loads(reader.json())
    return report["validation_state"], report["manifests"][report["active_manifest"]]


def assertion(manifest, label):
    return next(a["data"] for a in manifest["assertions"] if a["label"] == label)


# ---- the authority ------------------------------------------------------------------------------------------------


def test_keys_are_made_once_and_for_their_owner_only(tmp_path):
    keys = tmp_path / "house" / "keys"
    first, second = authority(keys, {}), authority(keys, {})
    assert first == second
    for secret in ("root.pem", "signer.pem"):
        assert stat.S_IMODE((keys / secret).stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.stat().st_mode) == stat.S_IMODE(keys.parent.stat().st_mode) == 0o700
    assert "PRIVATE" not in (keys / "root.crt").read_text()
    assert sorted(path.name for path in keys.iterdir()) == ["root.crt", "root.pem", "signer.pem"]
    assert "PRIVATE" not in repr(first), "a key is never shown by accident"


def test_the_leaf_is_signed_by_the_root_and_signs_no_certificates(own):
    leaf, root = x509.load_pem_x509_certificates(own.certificates.encode())
    leaf.verify_directly_issued_by(root)
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert isinstance(leaf.public_key().curve, ec.SECP256R1)


def test_a_leaf_near_its_end_is_renewed_under_the_same_root(tmp_path, monkeypatch):
    monkeypatch.setattr(authorities, "LEAF_YEARS", 4)
    old = authority(tmp_path / "keys", {})
    monkeypatch.undo()
    new = authority(tmp_path / "keys", {})
    assert new.certificates != old.certificates
    assert new.own_root == old.own_root


# ---- signing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_a_picture_says_that_an_algorithm_made_it(tmp_path, picture, own, ours, kind):
    finished, signed = tmp_path / f"f.{kind}", tmp_path / f"s.{kind}"
    Image.fromarray(picture).save(finished)
    sign(finished, signed, ours, software(), own)
    state, manifest = told(signed, own.own_root)
    action = assertion(manifest, "c2pa.actions.v2")["actions"][0]
    assert state == "Trusted"
    assert action["action"] == "c2pa.created"
    assert action["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert "ingredients" not in manifest
    assert assertion(manifest, "org.vasa-core.grant") == {"grant": ours.grant_id, "purpose": "look"}
    mining = assertion(manifest, "cawg.training-mining")["entries"]
    assert {entry["use"] for entry in mining.values()} == {"notAllowed"}
    with Image.open(signed) as image:
        image.load()


def test_a_photograph_is_an_ingredient_and_nobody_is_named(tmp_path, finished, own, grant):
    signed = tmp_path / "s.png"
    sign(finished, signed, grant("look"), software(), own)
    state, manifest = told(signed, own.own_root)
    action = assertion(manifest, "c2pa.actions.v2")["actions"][0]
    assert state == "Trusted"
    assert action["digitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")
    assert len(action["parameters"]["ingredients"]) == 1
    assert manifest["ingredients"][0]["relationship"] == "inputTo"
    assert "thumbnail" not in json.dumps(manifest)
    assert b"Test picture" not in signed.read_bytes(), "the subject's name"
    assert read_credentials(signed, own).from_photograph


def test_a_photograph_keeps_the_credentials_that_it_bears(tmp_path, finished, own, ours, grant):
    photo, signed = tmp_path / "photo.png", tmp_path / "s.png"
    sign(finished, photo, ours, "some_camera 2.0", own)
    sign(finished, signed, grant("look"), software(), own, photo=photo)
    state, manifest = told(signed, own.own_root)
    assert state == "Trusted"
    assert manifest["ingredients"][0]["active_manifest"]
    assert b"some_camera" in signed.read_bytes()


def test_a_video_is_signed_too(tmp_path, house, grant):
    frames = [np.full((64, 64, 3), 90, np.uint8)] * 3
    out = release_video(frames, None, 25, tmp_path / "v.mp4", grant(), house=house).path
    state, _ = told(out, house.authority.own_root)
    assert state == "Trusted"
    assert read_credentials(out, house.authority).seal == "ours"


def test_others_see_that_it_is_whole_without_knowing_us(tmp_path, finished, own, ours):
    signed = tmp_path / "s.png"
    sign(finished, signed, ours, software(), own)
    assert told(signed)[0] == "Valid"


# ---- reading ------------------------------------------------------------------------------------------------------


def test_credentials_of_another_house_are_foreign(tmp_path, finished, own, ours):
    signed = tmp_path / "s.png"
    sign(finished, signed, ours, "their_software 7", authority(tmp_path / "other", {}))
    found = read_credentials(signed, own)
    assert (found.seal, found.made_with, found.claims_ai) == ("foreign", "their_software 7", True)


def test_without_credentials_there_are_none(tmp_path, finished, own):
    assert read_credentials(finished, own).seal == "none"
    (tmp_path / "text.mp4").write_text("nothing of the kind")
    assert read_credentials(tmp_path / "text.mp4", own).seal == "none"
    (tmp_path / "empty").touch()
    assert read_credentials(tmp_path / "empty", own).seal == "none"


def test_changed_pixels_break_the_seal(tmp_path, finished, own, ours):
    signed = tmp_path / "s.png"
    sign(finished, signed, ours, software(), own)
    content = bytearray(signed.read_bytes())
    content[content.index(b"IDAT") + 20] ^= 1
    signed.write_bytes(content)
    assert read_credentials(signed, own).seal == "tampered"


def test_a_claim_that_cannot_be_read_is_not_taken_for_none(tmp_path, finished, own, ours):
    signed = tmp_path / "s.png"
    sign(finished, signed, ours, software(), own)
    signed.write_bytes(signed.read_bytes().replace(b"caBX", b"caBY"))  # the chunk that C2PA looks for
    assert read_credentials(signed, own).seal == "tampered"


def test_credentials_moved_to_another_picture_do_not_fit(tmp_path, finished, own, ours, picture):
    signed, other = tmp_path / "s.png", tmp_path / "o.png"
    sign(finished, signed, ours, software(), own)
    Image.fromarray(picture[::-1]).save(other)
    content = signed.read_bytes()
    start = content.index(b"caBX") - 4
    chunk = content[start : start + 12 + int.from_bytes(content[start : start + 4])]
    stolen = other.read_bytes()
    header = 8 + 25
    other.write_bytes(stolen[:header] + chunk + stolen[header:])
    assert read_credentials(other, own).seal == "tampered"


def test_kinds_are_known_by_content(tmp_path, finished):
    liar = tmp_path / "picture.mp4"
    liar.write_bytes(finished.read_bytes())
    assert content_format(liar) == "image/png"


# ---- certificates brought from elsewhere --------------------------------------------------------------------------


def certificate(subject, issuer, key, issuer_key, ca, purpose=ExtendedKeyUsageOID.EMAIL_PROTECTION):
    def name(common):
        attributes = [(NameOID.COMMON_NAME, common), (NameOID.ORGANIZATION_NAME, "Public CA")]
        return x509.Name([x509.NameAttribute(*attribute) for attribute in attributes])

    now = datetime.now(UTC)
    usage = dict.fromkeys(
        "content_commitment key_encipherment data_encipherment key_agreement encipher_only decipher_only".split(), False
    )
    builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=90))
    builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
    builder = builder.add_extension(
        x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, **usage), critical=True
    )
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    if not ca:
        issued = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
        builder = builder.add_extension(issued, critical=False)
    return builder.sign(issuer_key, hashes.SHA384())


def written(folder, name, leaf, root, key):
    chain, secret = folder / f"{name}.pem", folder / f"{name}.key"
    chain.write_bytes(leaf.public_bytes(PEM) + root.public_bytes(PEM))
    secret.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return {CERTIFICATE: str(chain), KEY: str(secret)}


@pytest.fixture
def public(tmp_path):
    """A public authority that certified us and somebody else."""
    root_key, our_key, their_key = (ec.generate_private_key(ec.SECP384R1()) for _ in range(3))
    root = certificate("root", "root", root_key, root_key, True)
    ours = certificate("us", "root", our_key, root_key, False)
    theirs = certificate("them", "root", their_key, root_key, False)
    return written(tmp_path, "us", ours, root, our_key), written(tmp_path, "them", theirs, root, their_key)


def test_a_brought_certificate_signs_and_its_neighbours_are_not_us(tmp_path, finished, own, ours, public):
    for_us, for_them = public
    us, them = authority(tmp_path / "keys", for_us), authority(tmp_path / "elsewhere", for_them)
    assert us.algorithm == "ES384"
    mine, foreign = tmp_path / "m.png", tmp_path / "f.png"
    sign(finished, mine, ours, software(), us)
    sign(finished, foreign, ours, software(), them)
    assert read_credentials(mine, us).seal == "ours"
    assert read_credentials(foreign, us).seal == "foreign"
    assert read_credentials(mine, own).seal == "foreign"


def test_what_was_signed_before_a_certificate_was_brought_stays_ours(tmp_path, finished, ours, public):
    signed = tmp_path / "s.png"
    sign(finished, signed, ours, software(), authority(tmp_path / "keys", {}))
    assert read_credentials(signed, authority(tmp_path / "keys", public[0])).seal == "ours"


def test_impossible_certificates_are_refused_in_one_sentence(tmp_path, public):
    us, them = public
    for environment, sentence in (
        ({CERTIFICATE: us[CERTIFICATE]}, "set both or neither"),
        ({CERTIFICATE: str(tmp_path / "no"), KEY: us[KEY]}, "cannot be read"),
        ({CERTIFICATE: us[CERTIFICATE], KEY: them[KEY]}, "is not the key"),
    ):
        with pytest.raises(BadOption, match=sentence):
            authority(tmp_path / "keys", environment)


def test_a_certificate_for_something_else_does_not_sign(tmp_path, finished, ours):
    key = ec.generate_private_key(ec.SECP256R1())
    root = certificate("root", "root", key, key, True)
    leaf_key = ec.generate_private_key(ec.SECP256R1())
    leaf = certificate("web", "root", leaf_key, key, False, ExtendedKeyUsageOID.SERVER_AUTH)
    wrong = authority(tmp_path / "keys", written(tmp_path, "web", leaf, root, leaf_key))
    with pytest.raises(VasaError, match="could not be signed"):
        sign(finished, tmp_path / "s.png", ours, software(), wrong)
