"""Tables made by hand from the protocol's text: log entries as JSON, data files by pyarrow."""

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyroaring import BitMap64

import atomic_manifest as am

Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


def z85(data: bytes) -> str:
    data += b"\0" * (-len(data) % 4)
    text = ""
    for start in range(0, len(data), 4):
        number = int.from_bytes(data[start : start + 4], "big")
        text += "".join(Z85[number // 85**power % 85] for power in (4, 3, 2, 1, 0))
    return text


def bitmap(rows: Sequence[int]) -> bytes:
    """Protocol, "Deletion Vector Format"."""
    return (1681511377).to_bytes(4, "little") + BitMap64(rows).serialize()


def framed(data: bytes) -> bytes:
    """Protocol, "Deletion Vector File Storage Format", without the version."""
    return len(data).to_bytes(4, "big") + data + zlib.crc32(data).to_bytes(4, "big")


class HandMade:
    """A table in a folder.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.version = -1
        (root / "_delta_log").mkdir(parents=True)

    def commit(self, *actions: dict[str, Any]) -> None:
        self.version += 1
        text = "".join(json.dumps(action) + "\n" for action in actions)
        (self.root / "_delta_log" / f"{self.version:020}.json").write_text(text)

    def create(
        self,
        fields: Sequence[dict[str, Any]],
        *,
        features: Sequence[str] = (),
        writer_features: Sequence[str] = (),
        protocol: tuple[int, int] | None = None,
        partition_by: Sequence[str] = (),
        **configuration: str,
    ) -> None:
        reader, writer = protocol or ((3, 7) if features else (1, 7))
        described: dict[str, Any] = {"minReaderVersion": reader, "minWriterVersion": writer}
        if reader == 3:
            described["readerFeatures"] = list(features)
        if writer == 7:
            described["writerFeatures"] = [*features, *writer_features]
        metadata = {
            "id": "test",
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps({"type": "struct", "fields": list(fields)}),
            "partitionColumns": list(partition_by),
            "configuration": {k.replace("__", "."): v for k, v in configuration.items()},
            "createdTime": 0,
        }
        self.commit({"protocol": described}, {"metaData": metadata})

    def file(
        self,
        table: pa.Table,
        *,
        partition: dict[str, str | None] | None = None,
        stats: dict[str, Any] | None = None,
        vector: dict[str, Any] | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Write a data file; its `add`."""
        name = f"part-{uuid4()}.parquet"
        pq.write_table(table, self.root / name, **options)
        add = {
            "path": name,
            "partitionValues": partition or {},
            "size": (self.root / name).stat().st_size,
            "modificationTime": 0,
            "dataChange": True,
            "stats": json.dumps({"numRecords": table.num_rows, **(stats or {})}),
        }
        if vector is not None:
            add["deletionVector"] = vector
        return {"add": add}

    def vectors(self, *deleted: Sequence[int], prefix: str = "") -> list[dict[str, Any]]:
        """Write deletion vectors into one file; their descriptors."""
        name, content, found = uuid4(), b"\x01", []
        for rows in deleted:
            data = bitmap(rows)
            found.append(
                {
                    "storageType": "u",
                    "pathOrInlineDv": prefix + z85(name.bytes),
                    "offset": len(content),
                    "sizeInBytes": len(data),
                    "cardinality": len(rows),
                }
            )
            content += framed(data)
        self.vector_file(name, prefix).parent.mkdir(exist_ok=True)
        self.vector_file(name, prefix).write_bytes(content)
        return found

    def vector_file(self, name: UUID, prefix: str = "") -> Path:
        return self.root / prefix / f"deletion_vector_{name}.bin"

    def open(self) -> am.Table:
        return am.Table.open(self.root)


def inline(rows: Sequence[int]) -> dict[str, Any]:
    data = bitmap(rows)
    return {
        "storageType": "i",
        "pathOrInlineDv": z85(data),
        "sizeInBytes": len(data),
        "cardinality": len(rows),
    }


def column(name: str, type_: Any, **metadata: Any) -> dict[str, Any]:
    named = {key.replace("__", "."): value for key, value in metadata.items()}
    return {"name": name, "type": type_, "nullable": True, "metadata": named}


@pytest.fixture
def made(tmp_path: Path) -> HandMade:
    return HandMade(tmp_path / "t")
