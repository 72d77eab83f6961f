"""A certificate of our own making, for those who have none: browsers warn once, and then give the page its camera.

What somebody else made is used as it is, or refused in a sentence, and never replaced.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from sidestream.config_live import ServerConfig
from sidestream.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, Name

DAYS = 365
CERTIFICATE, KEY = "cert.pem", "key.pem"


def certificate(config: ServerConfig) -> tuple[Path, Path]:
    """Certificate and key in the folder; both are made where there are none, or where ours are outdated."""
    folder = config.tls_folder.expanduser()
    paths = folder / CERTIFICATE, folder / KEY
    try:
        if not _still_hold(*paths):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _make(*paths, _names(config))
    except OSError as error:
        raise ConfigError(
            f"a certificate could not be kept in {folder} ({error.strerror}): give another --tls-folder"
        ) from error
    return paths


def _still_hold(certificate: Path, key: Path) -> bool:
    """Whether there is a pair that can be used. One that cannot, and is not ours to replace, is refused."""
    there = [path for path in (certificate, key) if os.path.lexists(path)]
    if not there:
        return False
    if len(there) == 1:
        other = key if there[0] == certificate else certificate
        raise ConfigError(
            f"{there[0]} is there without {other.name}: put that beside it, or give another --tls-folder"
        )
    found = _read(certificate)
    _check_key(key, found)
    if found.not_valid_after_utc > datetime.datetime.now(datetime.UTC):
        return True
    if (found.subject, found.issuer) != (_our_name(), _our_name()):
        raise ConfigError(f"{certificate} has expired: renew it, or give another --tls-folder")
    return False


def _read(certificate: Path) -> Certificate:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(certificate.read_bytes())
    except ValueError as error:
        raise ConfigError(
            f"{certificate} is no certificate: remove it, or give another --tls-folder"
        ) from error


def _check_key(key: Path, certificate: Certificate) -> None:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if os.name == "posix" and key.stat().st_mode & 0o077:
        raise ConfigError(f"others can read {key}: keep it to yourself with chmod 600")
    try:
        belongs = (
            load_pem_private_key(key.read_bytes(), None).public_key() == certificate.public_key()
        )
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{key} is no key, or has a password: give one without, or another --tls-folder"
        ) from error
    if not belongs:
        raise ConfigError(f"{key} is not the key of the certificate beside it: put that there")


def _our_name() -> Name:
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sidestream")])


def _names(config: ServerConfig) -> list[str]:
    names = ["localhost", "127.0.0.1", socket.gethostname(), config.host, *config.allow_host]
    return sorted({name for name in names if name not in ("0.0.0.0", "::")})


def _make(certificate: Path, key: Path, names: list[str]) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    secret = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(_our_name())
        .issuer_name(_our_name())
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=DAYS))
        .add_extension(
            x509.SubjectAlternativeName([_general(one) for one in names]), critical=False
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(secret, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    shape, closed = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    _write(key, secret.private_bytes(pem, shape, closed))
    _write(certificate, made.public_bytes(pem))


def _general(name: str):
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(path: Path, content: bytes) -> None:
    """Readable to its owner alone from the first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
