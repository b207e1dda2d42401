"""`python -m benchmarks`: the benchmarks, each one command."""

import typer

from benchmarks import append, beside, store
from benchmarks.contention import command as contention
from benchmarks.data import command as data
from benchmarks.log import command as log

app = typer.Typer(no_args_is_help=True, add_completion=False)
app.command("append")(append.main)
app.command("beside")(beside.main)
app.command("contention")(contention.main)
app.command("data")(data.main)
app.command("log")(log.main)
app.command("store")(store.main)


@app.callback()
def main() -> None:
    """Measure this library; each benchmark starts the service that it needs."""


if __name__ == "__main__":
    app()
