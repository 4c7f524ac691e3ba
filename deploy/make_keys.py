# SPDX-License-Identifier: MIT
"""Makes the keys of a federation: the server's certificate, and each node's own key.

python make_keys.py server --host superlink.example.org    at the server: ca.crt, superlink.crt, superlink.key
python make_keys.py node hospital-0                        at the hospital: hospital-0 (private) and hospital-0.pub

The private key of a node is made where it is used and stays there; its .pub goes to the operator, who registers it
under the node's name. ca.crt goes to every node. Nothing that is there is overwritten.
"""

from __future__ import annotations

import argparse
import datetime as dt
import ipaddress
import os
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM
CURVE = ec.SECP384R1()
"""One of those that Flower takes for a node's key."""


def main() -> None:
    """Read the arguments and write the keys."""
    parser = argparse.ArgumentParser(description="Make the keys of a federation.")
    parser.add_argument("--out", type=Path, default=Path("keys"), help="the folder that they go to (keys)")
    kinds = parser.add_subparsers(dest="kind", required=True)
    server = kinds.add_parser("server", help="a certificate authority of its own, and the SuperLink's certificate")
    server.add_argument("--host", action="append", default=[], help="a name or address of the SuperLink")
    server.add_argument("--days", type=int, default=365, help="how long the certificate is good for")
    node = kinds.add_parser("node", help="the key of one SuperNode")
    node.add_argument("name", help="the client id")
    options = parser.parse_args()
    options.out.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        if options.kind == "server":
            make_server(options.out, ["localhost", "127.0.0.1", *options.host], options.days)
        else:
            make_node(options.out, options.name)
    except FileExistsError as error:
        sys.exit(f"make_keys: {error.filename}: is there already; choose another folder with --out")


def make_server(folder: Path, hosts: list[str], days: int) -> None:
    """Write ca.crt, superlink.crt and superlink.key; the authority's own key is thrown away once it has signed."""
    authority, key = ec.generate_private_key(CURVE), ec.generate_private_key(CURVE)
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fedlethe federation")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "superlink")])
    names = x509.SubjectAlternativeName([_name(host) for host in dict.fromkeys(hosts)])
    top = _certificate(issuer, issuer, authority.public_key(), days)
    top = top.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    own = _certificate(subject, issuer, key.public_key(), days).add_extension(names, critical=False)
    own = own.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    _write(folder / "superlink.key", _private(key, serialization.PrivateFormat.PKCS8), 0o600)
    _write(folder / "ca.crt", top.sign(authority, hashes.SHA384()).public_bytes(PEM), 0o644)
    _write(folder / "superlink.crt", own.sign(authority, hashes.SHA384()).public_bytes(PEM), 0o644)


def make_node(folder: Path, name: str) -> None:
    """Write a node's private key and its public one, as OpenSSH has them."""
    key = ec.generate_private_key(CURVE)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    _write(folder / name, _private(key, serialization.PrivateFormat.OpenSSH), 0o600)
    _write(folder / f"{name}.pub", public + f" {name}\n".encode(), 0o644)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=days))
    )


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _private(key: ec.EllipticCurvePrivateKey, form: serialization.PrivateFormat) -> bytes:
    return key.private_bytes(PEM, form, serialization.NoEncryption())


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


if __name__ == "__main__":
    main()
