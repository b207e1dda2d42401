"""Running a server as a child process: free ports, a log to show, readiness, a stop by pid."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

HOST = "127.0.0.1"
READY_SECONDS = 60.0
STOP_SECONDS = 2.0  # what a server holds is thrown away anyway


class ServerUnavailableError(Exception):
    """The server is not to be had here; the message says why. A reason to skip."""


class ServerStartError(Exception):
    """The server is here but did not come up; the message holds the end of its log."""


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


@contextmanager
def running(
    argv: Sequence[str],
    *,
    log: Path,
    is_ready: Callable[[], bool],
    env: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server for the length of the block.

    Args:
        argv: The command line.
        log: Takes the server's output, whose end is shown when the start fails.
        is_ready: Asks the server something real; may raise while it does not answer yet.
        env: Variables besides those of this process.

    Raises:
        ServerStartError: It ended by itself, or was not ready in time.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            env={**os.environ, **(env or {})},
        )
    try:
        _wait_until_ready(process, argv[0], log, is_ready)
        yield process
    finally:
        _stop(process)


def _wait_until_ready(
    process: subprocess.Popen[bytes], name: str, log: Path, is_ready: Callable[[], bool]
) -> None:
    deadline = time.monotonic() + READY_SECONDS
    problem: Exception | None = None
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServerStartError(_failure(f"{name} ended: {process.returncode}", log))
        try:
            if is_ready():
                return
        except Exception as error:
            problem = error
        time.sleep(0.1)
    text = f"{name} was not ready after {READY_SECONDS:.0f} s (last: {problem!r})"
    raise ServerStartError(_failure(text, log))


def _failure(text: str, log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-20:]
    return "\n".join([f"{text}; the end of its log:", *lines])


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
