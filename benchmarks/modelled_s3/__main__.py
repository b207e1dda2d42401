"""`python -m benchmarks.modelled_s3`: run the modelled S3; its address is printed as JSON."""

import argparse
import asyncio
import importlib.util
import json
from collections.abc import Coroutine
from typing import Any

from benchmarks.modelled_s3.faults import FaultPlan
from benchmarks.modelled_s3.server import HOST, ModelledService, serve

LATENCIES = ("put", "get", "list", "head", "delete")
FAULTS = ("lost", "500", "503", "409", "429")


def parse_arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    for name in LATENCIES:
        help_text = f"latency of {name.upper()} requests"
        parser.add_argument(f"--{name}-ms", type=float, default=0.0, help=help_text)
    for name in FAULTS:
        help_text = f"probability of the fault {name}"
        parser.add_argument(f"--fault-{name}", type=float, default=0.0, help=help_text)
    parser.add_argument("--fault-on", default="", help="methods, such as put,get,list; default all")
    parser.add_argument("--seed", type=int, default=0, help="of the random faults")
    return parser.parse_args()


def main() -> None:
    """Run the server until it is told to stop."""
    arguments = vars(parse_arguments())
    latency_seconds = {name: arguments[f"{name}_ms"] / 1000 for name in LATENCIES}
    rates = {name: arguments[f"fault_{name}"] for name in FAULTS}
    methods = [method for method in arguments["fault_on"].split(",") if method]
    service = ModelledService(latency_seconds, FaultPlan(rates, methods, arguments["seed"]))

    def announce(port: int) -> None:
        print(json.dumps({"port": port, "url": f"http://{HOST}:{port}"}), flush=True)

    _run(serve(service, arguments["port"], announce))


def _run(main_coroutine: Coroutine[Any, Any, None]) -> None:
    if importlib.util.find_spec("uvloop"):
        importlib.import_module("uvloop").run(main_coroutine)
    else:
        asyncio.run(main_coroutine)


if __name__ == "__main__":
    main()
