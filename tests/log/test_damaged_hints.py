"""`_last_checkpoint` under random damage: a hint, so a table opens as it does without."""

import random

import pytest

from atomic_manifest.log.folder.hint import HINT_PATH, Hint, decode_hint, encode_hint
from tests.damage import with_another_value, with_other_bytes
from tests.log import layouts
from tests.log.corruption import content, stored


@pytest.fixture(scope="module", params=[layouts.classic, layouts.v2], ids=["classic", "v2"])
def layout(request):
    return request.param()


def damaged(hint, seed):
    source = random.Random(seed)
    return source.choice([with_other_bytes, with_another_value])(source, hint)


def check_opening(layout, hint):
    assert content(stored({**layout.objects, HINT_PATH: hint})) == layout.versions[layouts.NEWEST]


@pytest.mark.parametrize(
    "hint",
    [
        b"",
        b"[" * 100_000,
        b'{"version":' + b"9" * 5000 + b"}",
        b'{"version":99999999999999999999}',
        b'{"version":1e400}',
        b'{"version":-1}',
        b'{"version":10,"parts":99999999999999999999}',
        b'{"version":10,"size":"many"}',
        b'{"version":10,"x":' + b"[" * 3000 + b"]" * 3000 + b"}",
        encode_hint(Hint(10**30)),
        encode_hint(Hint(3)),
        encode_hint(Hint(10, parts=0)),
        encode_hint(Hint(10, parts=-3)),
    ],
    ids=lambda hint: repr(hint[:40]),
)
def test_a_hint_that_is_none_is_passed_over(layout, hint):
    check_opening(layout, hint)


@pytest.mark.faults
def test_damaged_hints_change_no_answer(layout):
    for seed in range(150):
        check_opening(layout, damaged(layout.objects[HINT_PATH], seed))


@pytest.mark.faults
def test_damaged_hints_raise_nothing(layout):
    for seed in range(3000):
        decode_hint(damaged(layout.objects[HINT_PATH], seed))


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
def test_damaged_hints_change_no_answer_over_many_seeds(layout, block):
    for seed in range(block * 500, (block + 1) * 500):
        check_opening(layout, damaged(layout.objects[HINT_PATH], seed))
