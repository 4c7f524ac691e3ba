# SPDX-License-Identifier: MIT
"""The app that `fedlethe flower new` writes, and the keys that deploy/ makes."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key, load_ssh_public_key

from fedlethe.config import resolve
from fedlethe.document import read_toml
from fedlethe.errors import FedletheError
from fedlethe.flower.app.new_app import new_app
from fedlethe.flower.app.session import Options
from tests.flower.machines import DEPLOY


def test_the_template_names_every_option_with_its_default(tmp_path: Path) -> None:
    made = new_app(tmp_path / "app")
    assert "hospitals/fedlethe.toml" in made.files
    config = read_toml(made.app / "pyproject.toml")["tool"]["flwr"]["app"]["config"]
    written = {name.replace("-", "_"): value for name, value in config.items()}
    assert written == {option.name: option.default for option in fields(Options)} | {"clients": 3}
    resolve(read_toml(made.app / "hospitals/fedlethe.toml"))


def test_a_folder_that_is_taken_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(FedletheError, match="is taken"):
        new_app(tmp_path)
    with pytest.raises(FedletheError, match="is taken"):
        new_app(tmp_path / "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def keys(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, DEPLOY / "make_keys.py", "--out", folder, *arguments]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)


def test_the_servers_certificate_is_signed_by_an_authority_whose_key_is_nowhere(tmp_path: Path) -> None:
    assert keys(tmp_path / "keys", "server", "--host", "superlink.example.org", "--host", "192.0.2.7").returncode == 0
    files = {path.name: path for path in (tmp_path / "keys").iterdir()}
    assert set(files) == {"ca.crt", "superlink.crt", "superlink.key"}
    authority, own = (x509.load_pem_x509_certificate(files[name].read_bytes()) for name in ("ca.crt", "superlink.crt"))
    own.verify_directly_issued_by(authority)
    names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "superlink.example.org"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "192.0.2.7"]
    key = load_pem_private_key(files["superlink.key"].read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.public_key() == own.public_key() != authority.public_key()
    assert stat.S_IMODE(files["superlink.key"].stat().st_mode) == 0o600


def test_a_nodes_key_is_readable_by_its_owner_alone_and_never_overwritten(tmp_path: Path) -> None:
    assert keys(tmp_path, "node", "hospital-0").returncode == 0
    private, public = tmp_path / "hospital-0", tmp_path / "hospital-0.pub"
    key = load_ssh_private_key(private.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.public_key() == load_ssh_public_key(public.read_bytes())
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    before = private.read_bytes()
    again = keys(tmp_path, "node", "hospital-0")
    assert again.returncode == 1
    assert "hospital-0: is there already" in again.stderr
    assert private.read_bytes() == before


def test_the_connection_is_written_once(tmp_path: Path) -> None:
    assert keys(tmp_path / "keys", "server").returncode == 0
    environment = {**os.environ, "FLWR_HOME": str(tmp_path / "flwr"), "KEYS": "keys", "SUPERLINK": "192.0.2.7:8000"}

    def connect() -> subprocess.CompletedProcess[str]:
        command = [str(DEPLOY / "connect.sh")]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert connect().returncode == 0
    connection = read_toml(tmp_path / "flwr/config.toml")["superlink"]["hospitals"]
    assert connection == {"address": "192.0.2.7:8000", "root-certificates": str(tmp_path / "keys/ca.crt")}
    again = connect()
    assert again.returncode == 2
    assert "has [superlink.hospitals] already" in again.stderr
