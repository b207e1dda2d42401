import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_manifest.data.write import thrift
from atomic_manifest.data.write.thrift import Integer


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_are_read_back(value: int) -> None:
    written = thrift.encoded(value)
    assert thrift.integer(b"\xff" + written + b"\xff", 1) == (value, 1 + len(written))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "00"),
        (-1, "01"),
        (1, "02"),
        (63, "7e"),
        (64, "8001"),
        (-65, "8101"),
        (2**31, "8080808010"),
    ],
)
def test_integers_are_written_as_the_protocol_says(value: int, written: str) -> None:
    assert thrift.encoded(value).hex() == written


@pytest.mark.parametrize("count", [0, 1, 14, 15, 16, 127, 128, 20_000])
def test_the_header_of_a_list_is_read_back(count: int) -> None:
    header = thrift.list_header(count)
    assert thrift.elements(header, 0) == (count, 12, len(header))


# Field headers are (id - id before) << 4 | type; a zero ends a structure.
EVERY_TYPE = {
    "true": "11",
    "false": "12",
    "byte": "13 7f",
    "i16": "14 8001",
    "i64": "16 ffffffff0f",
    "double": "17 0011223344556677",
    "binary": "18 03 616263",
    "long binary": "18 8001" + "61" * 128,
    "list of i32": "19 35 02 04 8001",
    "list of booleans": "19 21 01 02",
    "list of strings": "19 28 01 61 02 6262",
    "long list": "19 f5 10" + "02" * 16,
    "set": "1a 15 02",
    "empty map": "1b 00",
    "map": "1b 02 85 01 61 04 01 62 06",
    "map of booleans": "1b 01 81 01 61 01",
    "struct": "1c 15 02 18 01 61 00",
    "list of structs": "19 2c 15 02 00 00",
    "field with a long id": "05 c801 02",
    "struct with a long id": "1c 05 c801 02 00",
}


@pytest.mark.parametrize("before", EVERY_TYPE.values(), ids=EVERY_TYPE)
def test_what_nobody_wants_is_passed_over(before: str) -> None:
    # The wanted integer has id 200; its header is the long form.
    data = bytes.fromhex(before + " 06 9003 0e") + b"\x00"
    found: list[Integer] = []
    assert thrift.find(data, 0, {200: "wanted"}, found) == len(data)
    assert found == [Integer("wanted", len(data) - 2, len(data) - 1, 7)]


def test_integers_are_found_in_structures_and_lists_of_them_in_order() -> None:
    data = bytes.fromhex("2c 16 02 00 19 2c 16 04 00 15 00 16 06 00 16 08 00".replace(" ", ""))
    found: list[Integer] = []
    thrift.find(data, 0, {2: {1: "in"}, 3: {1: "each"}, 4: "last"}, found)
    assert [(each.name, each.value) for each in found] == [
        ("in", 1),
        ("each", 2),
        ("each", 0),
        ("last", 4),
    ]


def test_all_of_a_footer_is_passed_over() -> None:
    file = io.BytesIO()
    table = pa.table({"x": [1, 2], "s": ["a", None], "l": [[{"a": 1}], []]})
    pq.write_table(table, file, write_page_index=True)
    data = file.getvalue()
    length = int.from_bytes(data[-8:-4], "little")
    footer = data[-8 - length : -8]
    assert thrift.skip(footer, 0, 12) == length
