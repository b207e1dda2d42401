"""The command line, `atomic-manifest`."""


def main() -> None:
    """Entry point of the installed script."""
    from atomic_manifest.cli.app import app  # noqa: PLC0415 - typer and rich cost 0.1 s

    app()
