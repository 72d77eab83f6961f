"""Certificates: made once, made anew when ours is outdated, and never in the place of somebody else's."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sidestream.config_live import ServerConfig
from sidestream.errors import ConfigError
from sidestream.server import tls


def config(folder: Path) -> ServerConfig:
    return ServerConfig(tls=True, tls_folder=folder, allow_host=("studio.example",))


def put(folder: Path, name: str, *, days: int = 1, password: bytes | None = None) -> None:
    """A pair of that name, which expires after so many days from now."""
    secret = ec.generate_private_key(ec.SECP256R1())
    whom = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(whom)
        .issuer_name(whom)
        .public_key(secret.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=9))
        .not_valid_after(now + datetime.timedelta(days=days))
        .sign(secret, hashes.SHA256())
    )
    closed = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    pem = serialization.Encoding.PEM
    (folder / tls.CERTIFICATE).write_bytes(made.public_bytes(pem))
    key = secret.private_bytes(pem, serialization.PrivateFormat.PKCS8, closed)
    (folder / tls.KEY).write_bytes(key)
    (folder / tls.KEY).chmod(0o600)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_certificate_is_made_once_and_kept_to_its_owner(tmp_path: Path):
    certificate, key = tls.certificate(config(tmp_path / "new" / "tls"))
    assert key.stat().st_mode & 0o077 == 0
    made = certificate.read_bytes()
    assert tls.certificate(config(tmp_path / "new" / "tls"))[0].read_bytes() == made
    ssl.create_default_context().load_cert_chain(certificate, key)
    names = x509.load_pem_x509_certificate(made).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert "studio.example" in names.value.get_values_for_type(x509.DNSName)
    assert "127.0.0.1" in map(str, names.value.get_values_for_type(x509.IPAddress))


def test_ours_is_made_anew_when_it_is_outdated(tmp_path: Path):
    put(tmp_path, "sidestream", days=-1)
    before = contents(tmp_path)
    ssl.create_default_context().load_cert_chain(*tls.certificate(config(tmp_path)))
    assert contents(tmp_path).keys() == before.keys()
    assert not set(contents(tmp_path).values()) & set(before.values())


def test_a_pair_of_ones_own_is_used_as_it_is(tmp_path: Path):
    put(tmp_path, "studio.example")
    before = contents(tmp_path)
    tls.certificate(config(tmp_path))
    assert contents(tmp_path) == before


def expired(folder: Path) -> None:
    put(folder, "studio.example", days=-1)


def no_certificate(folder: Path) -> None:
    put(folder, "studio.example")
    (folder / tls.CERTIFICATE).unlink()


def no_key(folder: Path) -> None:
    put(folder, "sidestream")
    (folder / tls.KEY).unlink()


def open_to_others(folder: Path) -> None:
    put(folder, "studio.example")
    (folder / tls.KEY).chmod(0o640)


def another_key(folder: Path) -> None:
    put(folder, "sidestream", days=-1)
    key = (folder / tls.KEY).read_bytes()
    put(folder, "sidestream", days=-1)
    (folder / tls.KEY).write_bytes(key)


def with_a_password(folder: Path) -> None:
    put(folder, "studio.example", password=b"canary")


def words(folder: Path) -> None:
    put(folder, "studio.example")
    (folder / tls.CERTIFICATE).write_text("words")


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (expired, "has expired: renew it"),
        (no_certificate, r"key\.pem is there without cert\.pem"),
        (no_key, r"cert\.pem is there without key\.pem"),
        (open_to_others, "chmod 600"),
        (another_key, "not the key of the certificate"),
        (with_a_password, "has a password"),
        (words, "is no certificate"),
    ],
)
def test_what_cannot_be_used_is_refused_and_left_alone(tmp_path: Path, prepare, sentence: str):
    prepare(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(ConfigError, match=sentence):
        tls.certificate(config(tmp_path))
    assert contents(tmp_path) == before


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="could not be kept"):
        tls.certificate(config(tmp_path / "file" / "tls"))
