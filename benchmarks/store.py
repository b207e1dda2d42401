"""Processor time of a small conditional PUT, and of an import: ours against what it is built on.

All talk to one modelled S3 without latency in a process of its own, from this process, in turns, so
that a noisy machine disturbs all alike. What is counted is the processor time of this process with all
of its threads, so that work that an SDK does in the background counts too.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.modelled_s3 import ModelledS3, start_modelled_s3

BODY = b"x" * 1024
ROUND = 50
WARM_UP = 20
IMPORTS = ("atomic_manifest.store", "obstore", "s3fs", "boto3")
IMPORT_RUNS = 7

Put = Callable[[str], None]
"""Creates an object of `BODY` at a key, if it is absent."""


def our_driver(server: ModelledS3, bucket: str, _: ExitStack) -> Put:
    """One attempt, as the commit machine makes it."""
    from atomic_manifest.store import IfAbsent, open_store

    driver = open_store(f"s3://{bucket}", server.storage_options).driver
    return lambda key: _check(driver.put(key, BODY, when=IfAbsent()))


def _check(outcome: object) -> None:
    from atomic_manifest.store.driver import Written

    if not isinstance(outcome, Written):
        raise RuntimeError(f"a PUT of a fresh key came to {outcome}")  # noqa: TRY004 - not a type


def our_store(server: ModelledS3, bucket: str, _: ExitStack) -> Put:
    """`ObjectStore.put`: with retries, and an id by which an unanswered write is recognised."""
    from atomic_manifest.store import IfAbsent, open_store

    store = open_store(f"s3://{bucket}", server.storage_options)

    def put(key: str) -> None:
        store.put(key, BODY, when=IfAbsent())

    return put


def plain_obstore(server: ModelledS3, bucket: str, _: ExitStack) -> Put:
    """obstore by itself."""
    import obstore

    store = server.bucket_store(bucket)

    def put(key: str) -> None:
        obstore.put(store, key, BODY, mode="create", use_multipart=False)

    return put


def plain_s3fs(server: ModelledS3, bucket: str, _: ExitStack) -> Put:
    """s3fs, from a thread, as most use it."""
    import s3fs

    fs = s3fs.S3FileSystem(
        key=server.key,
        secret=server.secret,
        endpoint_url=server.endpoint_url,
        client_kwargs={"region_name": server.region},
        skip_instance_cache=True,
    )

    def put(key: str) -> None:
        fs.pipe_file(f"{bucket}/{key}", BODY, mode="create")

    return put


def plain_boto3(server: ModelledS3, bucket: str, stack: ExitStack) -> Put:
    """boto3."""
    import boto3  # type: ignore[import-untyped, unused-ignore]

    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint_url,
        aws_access_key_id=server.key,
        aws_secret_access_key=server.secret,
        region_name=server.region,
    )
    stack.callback(client.close)

    def put(key: str) -> None:
        client.put_object(Bucket=bucket, Key=key, Body=BODY, IfNoneMatch="*")

    return put


CONTESTANTS: Mapping[str, Callable[[ModelledS3, str, ExitStack], Put]] = {
    "obstore": plain_obstore,
    "our driver": our_driver,
    "our store": our_store,
    "s3fs": plain_s3fs,
    "boto3": plain_boto3,
}


def cpu_per_put(puts: int) -> dict[str, float]:
    """Median over rounds of the processor seconds of one PUT, by contestant."""
    with start_modelled_s3() as server, ExitStack() as stack:
        bucket = server.new_bucket()
        contestants = {name: make(server, bucket, stack) for name, make in CONTESTANTS.items()}
        for name, put in contestants.items():
            for number in range(WARM_UP):
                put(f"{name}/warm-{number}")
        rounds: dict[str, list[float]] = {name: [] for name in contestants}
        order = list(contestants)
        for start in range(0, puts, ROUND):
            count = min(ROUND, puts - start)
            for name in order:
                before = time.process_time()
                for number in range(start, start + count):
                    contestants[name](f"{name}/{number}")
                rounds[name].append((time.process_time() - before) / count)
            order.reverse()
    return {name: statistics.median(seconds) for name, seconds in rounds.items()}


def import_seconds() -> dict[str, float]:
    """Seconds that importing each takes in a fresh interpreter, over one that imports nothing.

    Of several runs the fastest counts: whatever disturbs a run makes it slower.
    """
    fastest = dict.fromkeys(("", *IMPORTS), float("inf"))
    for _ in range(IMPORT_RUNS):
        for name in fastest:
            code = f"import {name}" if name else "pass"
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            fastest[name] = min(fastest[name], time.perf_counter() - start)
    return {name: fastest[name] - fastest[""] for name in IMPORTS}


def report(puts: Mapping[str, float], imports: Mapping[str, float]) -> list[Table]:
    """The figures as tables to print."""
    first = Table(title="Processor time of a conditional PUT of 1 KiB")
    first.add_column("")
    first.add_column("µs", justify="right")
    first.add_column("of obstore's", justify="right")
    for name, seconds in puts.items():
        first.add_row(name, f"{seconds * 1e6:.0f}", f"{seconds / puts['obstore']:.2f}")
    second = Table(title="Time to import")
    second.add_column("")
    second.add_column("ms", justify="right")
    for name, seconds in imports.items():
        second.add_row(name, f"{seconds * 1e3:.0f}")
    return [first, second]


def main(
    puts: Annotated[int, typer.Option(min=1, help="Counted PUTs of each.")] = 1000,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write figures here.")] = None,
) -> None:
    """Measure the processor time of conditional PUTs and imports, beside obstore, s3fs and boto3."""
    puts_cpu, imports = cpu_per_put(puts), import_seconds()
    console = Console()
    for table in report(puts_cpu, imports):
        console.print(table)
    if json_path is not None:
        figures = {"cpu_seconds_per_put": puts_cpu, "import_seconds": imports}
        json_path.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
