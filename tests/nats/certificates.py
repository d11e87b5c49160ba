"""Certificates, and NATS credentials files, for servers on loopback."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

_LIFE = dt.timedelta(days=1)


@dataclass(frozen=True)
class Certificate:
    """A certificate for 127.0.0.1, which is its own authority, and its key."""

    certificate: Path
    key: Path


def make_certificate(folder: Path) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _LIFE)
        .not_valid_after(now + _LIFE)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return Certificate(certificate, key_file)


class NatsKey:
    """A key of NATS's: of an operator (O), an account (A) or a user (U)."""

    def __init__(self, kind: str) -> None:
        self._kind = (ord(kind) - ord("A")) << 3
        self._key = Ed25519PrivateKey.generate()

    @property
    def public(self) -> str:
        return _checked(bytes([self._kind]) + self._key.public_key().public_bytes_raw())

    @property
    def seed(self) -> str:
        prefix = bytes([18 << 3 | self._kind >> 5, (self._kind & 31) << 3])
        return _checked(prefix + self._key.private_bytes_raw())

    def issue(self, subject: NatsKey, name: str, nats: dict[str, Any]) -> str:
        """A JWT about another key, or itself."""
        head = {"typ": "JWT", "alg": "ed25519-nkey"}
        claims = {
            "jti": name,
            "iat": 1_700_000_000,
            "iss": self.public,
            "name": name,
            "sub": subject.public,
            "nats": {"version": 2, **nats},
        }
        signed = ".".join(_base64(json.dumps(each).encode()) for each in (head, claims))
        return f"{signed}.{_base64(self._key.sign(signed.encode()))}"


def credentials_text(jwt: str, seed: str) -> str:
    return (
        f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
        "************************* IMPORTANT *************************\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )


@dataclass(frozen=True)
class Operator:
    """What a server of an operator with one account is configured with, and a user of it."""

    config: str
    credentials: str


def make_operator() -> Operator:
    operator, account, user = NatsKey("O"), NatsKey("A"), NatsKey("U")
    operator_jwt = operator.issue(operator, "operator", {"type": "operator"})
    limits = dict.fromkeys(("subs", "conn", "leaf", "imports", "exports", "data", "payload"), -1)
    account_jwt = operator.issue(
        account, "account", {"type": "account", "limits": {**limits, "wildcards": True}}
    )
    user_jwt = account.issue(
        user, "user", {"type": "user", "subs": -1, "data": -1, "payload": -1, "pub": {}, "sub": {}}
    )
    return Operator(
        f"operator: {operator_jwt}\nresolver: MEMORY\n"
        f"resolver_preload: {{ {account.public}: {account_jwt} }}\n",
        credentials_text(user_jwt, user.seed),
    )


def _checked(content: bytes) -> str:
    check = binascii.crc_hqx(content, 0).to_bytes(2, "little")
    return base64.b32encode(content + check).decode().rstrip("=")


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
