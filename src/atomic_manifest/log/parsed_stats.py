"""Statistics that a checkpoint holds as columns (`stats_parsed`), as the JSON text of `add.stats`.

Tables may turn the JSON off (`delta.checkpoint.writeStatsAsJson`); then the columns are all there is.
"""

import math
from typing import Any

import msgspec
import pyarrow as pa

_ENCODE = msgspec.json.Encoder(decimal_format="number")


def to_json(parsed: pa.StructArray) -> pa.Array:
    """JSON text for each row of `stats_parsed`, null where it is null."""
    return pa.array([row and _text(row) for row in parsed.to_pylist()], pa.string())


def _text(row: dict[str, Any]) -> str:
    return _ENCODE.encode(_known(row)).decode()


def _known(value: Any) -> Any:
    """The value without what JSON has no form for: nulls, bytes, and floats that are not finite."""
    if not isinstance(value, dict):
        return value
    return {
        name: _known(inner)
        for name, inner in value.items()
        if inner is not None
        and not isinstance(inner, bytes)
        and not (isinstance(inner, float) and not math.isfinite(inner))
    }
