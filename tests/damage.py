"""Random damage to JSON text, for tests that anybody's bytes may be read. `source` is a `random.Random`."""

import json


def with_other_bytes(source, data):
    """Bytes changed, taken out, or put in a few places."""
    for _ in range(source.choice([1, 1, 2, 5])):
        at = source.randrange(len(data) + 1)
        end = min(len(data), at + source.choice([0, 1, 1, 4, 64]))
        put = source.choice(
            [b"", bytes([source.randrange(256)]), b'"', b"{", b"\n", data[:at][-30:]]
        )
        data = data[:at] + put + data[end:]
    return data


def _values(source):
    nested = "[" * source.choice([3, 600, 3000])
    return source.choice(
        [
            *(
                "null",
                "true",
                "-1",
                "0",
                "1.5",
                "1e400",
                "[]",
                "{}",
                '""',
                '"\\u0000"',
                "[1]",
                "[[]]",
            ),
            *('{"a":1}', '[{"a":[1]}]', "9" * 30, "9" * 5000, '"../up"', '"s3://b/x"', '"/abs"'),
            *('{"p":"x","d":null}', '"{}"', '"[1]"', '"2024-02-30"', '{"date":"2024-01-01"}'),
            *('{"is":"not","child":{"is":"everything"}}', '{"decimal":"NaN"}', '{"double":"nan"}'),
            nested + "]" * len(nested),
            '{"a":' * len(nested) + "1" + "}" * len(nested),
        ]
    )


def with_another_value(source, line):
    """The line with the value after one of its colons replaced, or a member put before it."""
    colons = [at for at, byte in enumerate(line) if byte == ord(":") and line[at - 1 : at] == b'"']
    at = source.choice(colons) + 1
    try:
        _, length = json.JSONDecoder().raw_decode(line[at:].decode())
    except ValueError:
        length = 1
    value = _values(source).encode()
    if source.random() < 0.2:
        name = source.choice(
            [b'"add"', b'"remove"', b'"path"', b'"kind"', b'"extra"', b'"protocol"']
        )
        return line[:at] + value + b"," + name + b":" + line[at:]
    return line[:at] + value + line[at + length :]
