"""A certificate of our own making, for those who have none: browsers warn once, and then give the page its camera."""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
from pathlib import Path

from sidestream.config_live import ServerConfig
from sidestream.errors import ConfigError

DAYS = 365
CERTIFICATE, KEY = "cert.pem", "key.pem"


def certificate(config: ServerConfig) -> tuple[Path, Path]:
    """Certificate and key in the folder; both are made where they are missing or outdated."""
    folder = config.tls_folder.expanduser()
    paths = folder / CERTIFICATE, folder / KEY
    try:
        if not (all(path.is_file() for path in paths) and _still_holds(paths[0])):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _make(*paths, _names(config))
    except OSError as error:
        raise ConfigError(
            f"a certificate could not be kept in {folder} ({error.strerror}): give another --tls-folder"
        ) from error
    return paths


def _still_holds(path: Path) -> bool:
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError as error:
        raise ConfigError(
            f"{path} is no certificate: remove it, or give another --tls-folder"
        ) from error
    return found.not_valid_after_utc > datetime.datetime.now(datetime.UTC)


def _names(config: ServerConfig) -> list[str]:
    names = ["localhost", "127.0.0.1", socket.gethostname(), config.host, *config.allow_host]
    return sorted({name for name in names if name not in ("0.0.0.0", "::")})


def _make(certificate: Path, key: Path, names: list[str]) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sidestream")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
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
