"""Reading statistics as lines with commas: what it reads is what the JSON says, or nothing."""

import json
import random

import pyarrow as pa
import pytest

from atomic_manifest.log.stats import parsed
from atomic_manifest.log.stats.lines import from_lines
from atomic_manifest.log.stats.parsed import from_json
from atomic_manifest.log.stats.typed_columns import type_of

TYPE = type_of(
    [
        (("id",), pa.int64()),
        (("small",), pa.int8()),
        (("nested", "x"), pa.float64()),
        (("name",), pa.string()),
        (("price",), pa.decimal128(7, 2)),
        (("day",), pa.date32()),
        (("at",), pa.timestamp("us", "UTC")),
    ]
)


def statistics(number: int) -> dict:
    def bounds(add):
        return {
            "id": number + add,
            "small": add,
            "nested": {"x": number / 4 + add},
            "name": f"näme {number + add}",
            "price": number + 0.25,
            "day": "2024-02-29",
            "at": "2024-02-29T01:02:03.004Z",
            "another": True,
        }

    return {
        "numRecords": number,
        "minValues": bounds(0),
        "maxValues": bounds(1),
        "nullCount": {"id": 0, "name": 1, "nested": {"x": 2}},
        "tightBounds": number % 2 == 0,
    }


def texts_of(values, separators=(",", ":")) -> pa.Array:
    return pa.array(
        [json.dumps(each, separators=separators, ensure_ascii=False) for each in values]
    )


def as_json_says(texts: pa.Array, type_=TYPE) -> pa.Array:
    return parsed._slow(texts, type_)


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize("start", [0, 3])
def test_texts_that_differ_in_values_are_read_as_lines(separators, start):
    texts = texts_of(map(statistics, range(7)), separators).slice(start)
    found = from_lines(texts, TYPE)
    assert found is not None
    assert found.type == TYPE
    assert found.equals(as_json_says(texts))


def test_columns_that_the_texts_do_not_have_are_null():
    texts = texts_of([{"numRecords": n, "maxValues": {"id": n}} for n in range(3)])
    found = from_lines(texts, TYPE)
    assert found is not None
    assert found.equals(as_json_says(texts))
    assert found.field("minValues").null_count == 3


def test_a_value_that_is_null_is_null():
    texts = texts_of([{"numRecords": n, "minValues": {"id": n % 2 and n}} for n in (1, 2, 3)])
    texts = pa.array([text.as_py().replace(":0}", ":null}") for text in texts])
    found = from_lines(texts, TYPE)
    assert found is not None
    assert found.field("minValues").field("id").to_pylist() == [1, None, 3]
    nowhere = pa.array(['{"numRecords":1,"minValues":{"id":null,"name":null}}'] * 2)
    assert from_lines(nowhere, TYPE).equals(as_json_says(nowhere))


@pytest.mark.parametrize(
    "other",
    [
        '{"numRecords":1,"minValues":{"id":1}}',
        '{"numRecords":1,"minValues":{"id":1,"name":"a,b"}}',
        '{"numRecords":1,"minValues":{"id":1,"name":"a\\"b"}}',
        '{"numRecords":1,"minValues":{"id":1,"name":"a"b"}}',
        '{"numRecords":1,"minValues":{"id":1,"name":"a""}}',
        '{"numRecords":1,"minValues":{"id":1,"name":"}}',
        '{"numRecords":1,"minValues":{"id":1,"name":"a\tb"}}',
        '{"numRecords":1,"minValues":{"id":1,"name":"a\nb"}}',
        '{"numRecords":1,"minValues":{"id":1,"name":"a"}}}',
        '{"numRecords":1,"minValues":{"id":1,"name":"a"}',
        '{"numRecords":1,"minValues":{"id":1,"name":7}}',
        '{"numRecords":1,"minValues":{"id":0x7,"name":"a"}}',
        '{"numRecords":1,"minValues":{"id":-0x7,"name":"a"}}',
        '{"numRecords":1,"minValues":{"id":07,"name":"a"}}',
        '{"numRecords":1,"minValues":{"id":1.0,"name":"a"}}',
        '{"numRecords":1,"minValues":{"id":"1","name":"a"}}',
        '{"numRecords":1,"minValues":{"id":9223372036854775808,"name":"a"}}',
        '{"numRecords":1,"minValues":{"id":,"name":"a"}}',
        '{"numRecords":1,"maxValues":{"id":1,"name":"a"}}',
        '{"numRecords":{"id":1,"minValues":{"id":1,"name":"a"}}',
        "",
        "null",
        None,
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_texts_that_are_not_alike_are_read_as_json(other, first):
    like = '{"numRecords":5,"minValues":{"id":5,"name":"e"}}'
    texts = pa.array([other, like] if first else [like, other])
    assert from_lines(texts, TYPE) is None
    assert from_json(texts, TYPE).equals(as_json_says(texts))


@pytest.mark.parametrize("text", ["1.", ".5", "+1.0", "inf", "NaN", "01.5", "1e5", "-0.0", "1e999"])
@pytest.mark.parametrize("type_", [pa.float64(), pa.float32(), pa.decimal128(7, 2)])
def test_numbers_are_those_of_json(text, type_):
    bounds = type_of([(("x",), type_)])
    texts = pa.array([f'{{"numRecords":1,"minValues":{{"x":{each}}}}}' for each in ("1.5", text)])
    found = from_lines(texts, bounds)
    assert found is None or found.equals(as_json_says(texts, bounds))


def test_texts_with_damage_are_read_as_the_json_that_they_are():
    chance = random.Random(7)
    sound = [text.as_py() for text in texts_of(map(statistics, range(4)))]
    read = 0
    for _ in range(400):
        texts = list(sound)
        for _ in range(chance.randint(1, 3)):
            row = chance.randrange(len(texts))
            place = chance.randrange(len(texts[row]))
            end = place + chance.randint(0, 2)
            put = chance.choice(
                ['"', "\\", "{", "}", ",", ":", "0", "7", "e", "-", ".", " ", "\t", ""]
            )
            texts[row] = texts[row][:place] + put + texts[row][end:]
        found = from_lines(pa.array(texts), TYPE)
        read += found is not None
        assert found is None or found.equals(as_json_says(pa.array(texts)))
    assert read
