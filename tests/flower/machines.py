# SPDX-License-Identifier: MIT
"""Flower's processes on loopback: started on free ports, and stopped by their process ids, also when a test fails."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

DEPLOY = Path(__file__).parents[2] / "deploy"
BIN = Path(sys.executable).parent
PATIENCE = 300.0


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(true: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds:g} seconds until {what}"
        time.sleep(0.1)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def family(pid: int) -> dict[int, str]:
    """A process, all that descend from it, and those of its session whose parents are gone, each with its start time.

    By the start time an id that is used again is told.
    """
    children: dict[int, list[int]] = {}
    started: dict[int, str] = {}
    todo = [pid]
    for place in Path("/proc").iterdir():
        if place.name.isdecimal():
            try:
                fields = (place / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(place.name))
            started[int(place.name)] = fields[19]
            if int(fields[3]) == pid:
                todo.append(int(place.name))
    found: dict[int, str] = {}
    while todo:
        one = todo.pop()
        if one in started and one not in found:
            found[one] = started[one]
            todo += children.get(one, [])
    return found


def started_at(pid: int) -> str | None:
    """When a process was started; None if it is not there any more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


def stop(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> None:
    """End a process and what it started."""
    known = family(process.pid)
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
    for pid, started in known.items():
        if started_at(pid) == started and pid != process.pid:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


@dataclass
class Machines:
    """A SuperLink, SuperNodes and the flwr command, with a home, keys and logs in one folder.

    Attributes:
        folder: Where everything is.
        port: The SuperLink's.
        processes: What runs, by name.
    """

    folder: Path
    port: int = field(default_factory=free_port)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        own = {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "FLWR_HOME": str(self.folder / "flwr"),
            "FLWR_TELEMETRY_ENABLED": "0",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
            "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
            "OMP_NUM_THREADS": "1",
            "KEYS": str(self.folder / "keys"),
            "SUPERLINK": f"127.0.0.1:{self.port}",
        }
        return {**os.environ, **own}

    def command(self, *arguments: str | Path) -> str:
        """Run a command to its end; its output."""
        done = subprocess.run(
            [str(argument) for argument in arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{self.logs()}"
        return done.stdout

    def begin(self, name: str, *arguments: str | Path, **environment: str) -> subprocess.Popen[bytes]:
        """Start a process; what it prints goes to NAME.log."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [str(argument) for argument in arguments],
                cwd=self.folder,
                env={**self.environment, **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self.processes[name]

    def end(self, name: str, how: signal.Signals = signal.SIGTERM) -> None:
        stop(self.processes.pop(name), how)

    def logs(self) -> str:
        return "\n".join(f"--- {log.name}\n{log.read_text()[-4000:]}" for log in sorted(self.folder.glob("*.log")))

    # Without TLS, as in a first try

    def superlink(self, *options: str) -> None:
        command = ["flower-superlink", "--insecure", "--host", "127.0.0.1", "--port", str(self.port)]
        self.begin("superlink", *command, "--disable-runtime-dependency-installation", *options)
        wait_until(lambda: listens(self.port), "the SuperLink listens")
        home = self.folder / "flwr"
        home.mkdir(exist_ok=True)
        (home / "config.toml").write_text(
            f'[superlink.hospitals]\naddress = "127.0.0.1:{self.port}"\ninsecure = true\n'
        )

    def supernode(self, name: str, config: str) -> None:
        command = ["flower-supernode", "--insecure", "--superlink", f"127.0.0.1:{self.port}"]
        self.begin(name, *command, "--port", str(free_port()), "--node-config", config)

    # With TLS and authentication, by the scripts of deploy/

    def secure_superlink(self) -> None:
        self.command(sys.executable, DEPLOY / "make_keys.py", "server")
        self.begin("superlink", DEPLOY / "superlink.sh", HOST="127.0.0.1", PORT=str(self.port))
        wait_until(lambda: listens(self.port), "the SuperLink listens")
        self.command(DEPLOY / "connect.sh")

    def secure_supernode(self, name: str, data: Path) -> None:
        """A hospital's node, with a cache of its own, as on a machine of its own."""
        cache = str(self.folder / name / "cache")
        self.begin(name, DEPLOY / "supernode.sh", name, data, PORT=str(free_port()), FEDLETHE_CACHE=cache)

    def secure(self, key: str) -> list[str]:
        """The command of a node that uses this key and says what it likes."""
        keys = self.folder / "keys"
        command = ["flower-supernode", "--superlink", f"127.0.0.1:{self.port}", "--port", str(free_port())]
        return [*command, "--root-certificates", f"{keys}/ca.crt", "--auth-supernode-private-key", f"{keys}/{key}"]

    # Runs and accidents

    def run(self, app: Path, options: Mapping[str, object]) -> str:
        """`flwr run APP hospitals`, to the run's end; what the ServerApp printed."""
        id = self.submit(app, options)
        wait_until(
            lambda: re.search(f"Finished task [0-9]+ of run {id}", self.said("superlink")) is not None, "its end"
        )
        printed = self.command("flwr", "log", id, "hospitals", "--show")
        assert "fedlethe: " in printed, printed + self.logs()
        assert "ERROR" not in printed, printed + self.logs()  # the flwr command's own exit status is 0 in any case
        return printed

    def submit(self, app: Path, options: Mapping[str, object]) -> str:
        """`flwr run APP hospitals`, without waiting for the run's end; its id."""
        said = self.command("flwr", "run", app, "hospitals", "--format", "json", "-c", run_config(options))
        id: str = str(json.loads(said)["run-id"])
        return id

    def kill_server(self) -> None:
        """Kill the process of the ServerApp, as a crash would."""
        for pid in family(self.processes["superlink"].pid):
            if "flwr-serverapp" in Path(f"/proc/{pid}/cmdline").read_text():
                os.kill(pid, signal.SIGKILL)

    def said(self, name: str) -> str:
        """What a process printed so far."""
        return (self.folder / f"{name}.log").read_text()


def run_config(options: Mapping[str, object]) -> str:
    """Options as -c takes them."""
    return " ".join(
        f"{name}={value}" if isinstance(value, (int, float)) else f'{name}="{value}"' for name, value in options.items()
    )


@contextmanager
def machines(folder: Path) -> Iterator[Machines]:
    """A folder for Flower's processes; at the end all of them are stopped."""
    held = Machines(folder)
    try:
        yield held
    finally:
        for process in held.processes.values():
            stop(process)
