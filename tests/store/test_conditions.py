"""ETags and conditions: what is read, what is sent, what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_manifest import errors
from atomic_manifest.store import ETag, IfAbsent, IfMatch, ObjectStore
from atomic_manifest.store.memory import MemoryDriver


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ('"x"', ETag("x")),
        ("x", ETag("x")),
        (' "x" ', ETag("x")),
        ('W/"x"', ETag("x", weak=True)),
        ('w/"x"', ETag("x", weak=True)),
        ('""', ETag("")),
        ('"a,b"', ETag("a,b")),
        ("d41d8cd98f00b204e9800998ecf8427e-3", ETag("d41d8cd98f00b204e9800998ecf8427e-3")),
        ('"', ETag('"')),
    ],
)
def test_etag_is_read_quoted_bare_and_weak(text, tag):
    assert ETag.parse(text) == tag


@pytest.mark.parametrize("text", ["", "  ", "W/"])
def test_etag_of_no_text_is_refused(text):
    with pytest.raises(errors.InvalidRequest):
        ETag.parse(text)


def test_etag_prints_the_form_that_is_asked_for():
    assert (ETag("x").quoted, ETag("x").bare, str(ETag("x"))) == ('"x"', "x", '"x"')
    assert str(ETag("x", weak=True)) == 'W/"x"'


def test_weak_etag_matches_weakly_alone():
    weak, strong = ETag("x", weak=True), ETag("x")
    assert not weak.strong_match(strong)
    assert not weak.strong_match(weak)
    assert strong.strong_match(ETag.parse("x"))
    assert weak.weak_match(strong)
    assert not IfMatch(weak).satisfied_by(strong)
    assert not IfMatch(strong).satisfied_by(weak)
    assert IfMatch("y", strong).satisfied_by(strong)


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ('"a", W/"b"', [ETag("a"), ETag("b", weak=True)]),
        ('"a"', [ETag("a")]),
        ('"a,b" , "c"', [ETag("a,b"), ETag("c")]),
        ("a, b", [ETag("a"), ETag("b")]),
        (',"a",, "b",', [ETag("a"), ETag("b")]),
        ('"*", "a"', [ETag("*"), ETag("a")]),
    ],
)
def test_list_of_etags_is_read(text, tags):
    assert ETag.parse_list(text) == tuple(tags)
    assert IfMatch.parse(text) == IfMatch(*tags)


@pytest.mark.parametrize("text", ["", " , ", '"a" "b"', '"a', "*, a", 'a"b'])
def test_text_that_is_no_list_of_etags_is_refused(text):
    with pytest.raises(errors.InvalidRequest):
        ETag.parse_list(text)
    with pytest.raises(errors.InvalidRequest):
        IfMatch.parse(text)


@given(st.lists(st.text(st.characters(min_codepoint=0x23, max_codepoint=0x7E)), min_size=1))
def test_list_that_is_printed_reads_as_itself(texts):
    tags = tuple(ETag(text) for text in texts)
    assert ETag.parse_list(", ".join(map(str, tags))) == tags


def test_star_is_any_and_stands_alone():
    assert IfMatch.parse(" * ") == IfMatch("*") == IfMatch.ANY
    assert IfMatch.ANY.any
    assert repr(IfMatch.ANY) == "IfMatch.ANY"
    with pytest.raises(errors.InvalidRequest):
        IfMatch("*", "a")
    with pytest.raises(errors.InvalidRequest):
        ETag.parse_list("*")


@pytest.mark.parametrize("tag", ["a\nb", "a\r\nX: y", 'a"b', "a b", "\x7f", "\0", "caf\u2019", ""])
def test_etag_that_cannot_stand_in_a_header_is_refused(tag):
    with pytest.raises(errors.InvalidRequest) as raised:
        IfMatch(tag)
    assert isinstance(raised.value, ValueError)
    with pytest.raises(errors.InvalidRequest):
        ObjectStore(MemoryDriver()).get("k", if_none_match=tag)


def test_condition_of_no_etag_is_refused():
    with pytest.raises(errors.InvalidRequest):
        IfMatch()


@pytest.mark.parametrize("when", ["*", ETag("x"), (IfAbsent(), IfMatch("x")), IfAbsent])
def test_what_is_no_condition_is_refused_before_anything_is_written(when):
    store = ObjectStore(MemoryDriver())
    for act in (
        lambda: store.put("k", b"x", when=when),
        lambda: store.upload("k", when=when),
        lambda: store.copy("k", "l", when=when),
        lambda: store.delete("k", when=when),
    ):
        with pytest.raises(errors.InvalidRequest):
            act()
    with pytest.raises(errors.InvalidRequest):
        store.delete("k", when=IfAbsent())
    assert list(store.list()) == []
