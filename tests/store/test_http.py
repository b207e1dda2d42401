"""Servers of RFC 9110 and WebDAV: the suite, and what each answer comes to."""

import pytest
from aiohttp import web

import atomic_manifest as am
from atomic_manifest.errors import (
    InvalidPath,
    NotFound,
    NotModified,
    StoreError,
    StorePermissionDenied,
    StoreUnavailable,
    UnsupportedByStore,
    WriteOutcomeUnknown,
)
from atomic_manifest.store.conditions import ETag, IfAbsent, IfMatch
from atomic_manifest.store.driver import (
    Contended,
    ContendedCause,
    Deleted,
    Refused,
    Unanswered,
    Written,
)
from atomic_manifest.store.http.driver import HttpDriver
from atomic_manifest.store.http.webdav import read_multistatus
from atomic_manifest.testing import Feature, StoreConformance
from tests.conftest import server_fixture
from tests.servers.webdav import AtomicDav, start_wsgidav
from tests.store.blocking_driver import in_threads
from tests.store.scripted import Answer


@pytest.fixture
def dav():
    with AtomicDav() as server:
        yield server


@pytest.fixture
def driver(dav):
    return HttpDriver(f"{dav.url}/some/folder")


@pytest.fixture
def plain(scripted):
    """A driver over a server whose answers the test writes."""
    return HttpDriver(f"{scripted.url}/root", timeout=5)


wsgidav = server_fixture("wsgidav", start_wsgidav, "WsgiDAV, which speaks WebDAV.")


class TestAtomicServer(StoreConformance):
    keeps_metadata = False
    lacks = frozenset({Feature.COPY_ANY})
    rounds = 50

    @pytest.fixture
    def driver(self, driver):
        return driver


class TestAtomicServerAsync(TestAtomicServer):
    """By the threads that stand in for a driver's own coroutines."""

    rounds = 5

    @pytest.fixture
    def driver(self, driver):
        with in_threads(driver) as asynchronous:
            yield asynchronous


# --- a real server, not fit for the suite: it tells ETags by the second ---


@pytest.fixture
def on_wsgidav(wsgidav, request):
    return HttpDriver(f"{wsgidav.endpoint_url}/{request.node.name}/a folder")


@pytest.mark.servers
def test_wsgidav_keeps_what_is_put(on_wsgidav):
    names = ["a b", "a%20b", "a+b", "é/ü", ".hidden", "q?x=1#y", "~", "deep/er/still"]
    for name in names:
        assert isinstance(on_wsgidav.put(name, name.encode()), Written)
    assert [on_wsgidav.get(name).data.decode() for name in names] == names
    assert [meta.path for meta in on_wsgidav.list()] == sorted(names)
    assert [meta.path for meta in on_wsgidav.list("deep", start_after="deep/er")] == [names[-1]]
    assert [meta.etag for meta in on_wsgidav.list("é")] == [on_wsgidav.head("é/ü").etag]
    assert on_wsgidav.get("a b", range=(1, 9)).data == b" b"
    for missing in ("nothing", "deep", "deep/er", "~/below"):
        with pytest.raises(NotFound):
            on_wsgidav.head(missing)
    with pytest.raises(StoreError, match="is an object"):
        on_wsgidav.put("~/below", b"")
    upload = on_wsgidav.start_upload("up/big", part_size=1 << 20, max_in_flight=2)
    upload.write(b"x" * (3 << 20))
    assert isinstance(upload.finish(), Written)
    assert on_wsgidav.head("up/big").size == 3 << 20


@pytest.mark.servers
def test_wsgidav_evaluates_conditions_on_what_is_there(on_wsgidav):
    first = on_wsgidav.put("f/k", b"1", when=IfAbsent()).meta.etag
    assert isinstance(on_wsgidav.put("f/k", b"22", when=IfAbsent()), Refused)
    second = on_wsgidav.put("f/k", b"22", when=IfMatch("x", first)).meta.etag
    assert isinstance(on_wsgidav.put("f/k", b"no", when=IfMatch(first)), Refused)
    assert isinstance(on_wsgidav.put("f/k", b"22", when=IfMatch.ANY), Written)
    assert isinstance(on_wsgidav.copy("f/k", "new/c"), Written)
    assert isinstance(on_wsgidav.copy("f/k", "new/c", when=IfAbsent()), Refused)
    with pytest.raises(NotFound):
        on_wsgidav.copy("f/none", "new/c")
    with pytest.raises(NotModified):
        on_wsgidav.get("f/k", if_none_match=on_wsgidav.head("f/k").etag)
    assert isinstance(on_wsgidav.delete("f/k", when=IfMatch(first)), Refused)
    assert second is not None
    assert on_wsgidav.get("f/k").data == b"22"


@pytest.mark.servers
def test_wsgidav_deletes_no_folder(on_wsgidav):
    on_wsgidav.put("f/k", b"1")
    assert on_wsgidav.delete("f") == Deleted()
    assert on_wsgidav.delete("f", when=IfMatch.ANY) == Refused()
    assert on_wsgidav.get("f/k").data == b"1"
    on_wsgidav.delete_many(["f/k", "none", "f"])
    assert list(on_wsgidav.list()) == []


# --- what answers come to ---


@pytest.mark.parametrize(
    ("status", "when", "expected"),
    [
        (412, IfAbsent(), Refused(ETag("0123"))),
        (412, IfMatch("x"), Refused(ETag("0123"))),
        (304, IfMatch("x"), Refused(ETag("0123"))),
        (423, None, Contended(ContendedCause.CONFLICT)),
        (429, IfAbsent(), Contended(ContendedCause.THROTTLED)),
    ],
)
def test_answers_to_a_put_that_wrote_nothing(plain, scripted, status, when, expected):
    scripted.script(status)
    assert plain.put("k", b"x", when=when) == expected
    assert [seen.method for seen in scripted.requests] == ["PUT"]


@pytest.mark.parametrize("answer", [408, 500, 502, 503, 504, Answer(drop=True)])
def test_answers_to_a_put_that_prove_nothing(plain, scripted, answer):
    plain.get("k")  # so that there is a kept connection to be reset
    scripted.script(answer)
    outcome = plain.put("k", b"x", when=IfAbsent())
    assert isinstance(outcome, Unanswered)
    assert isinstance(outcome.cause, StoreUnavailable)
    assert [seen.method for seen in scripted.requests] == ["GET", "PUT"]


@pytest.mark.parametrize("answer", [500, Answer(drop=True)])
def test_deletions_and_copies_are_sent_once(plain, scripted, answer):
    scripted.script(405, answer)
    assert isinstance(plain.delete("k", when=IfMatch("x")), Unanswered)
    dav = Answer(headers={"DAV": "1,2", "Allow": "COPY"})
    scripted.script(Answer(headers={"Content-Length": "1"}), dav, answer)
    assert isinstance(plain.copy("s", "k", when=IfAbsent()), Unanswered)
    methods = [seen.method for seen in scripted.requests]
    assert methods == ["PROPFIND", "DELETE", "HEAD", "OPTIONS", "COPY"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, StoreError),
        (401, StorePermissionDenied),
        (403, StorePermissionDenied),
        (405, UnsupportedByStore),
        (413, StoreError),
        (301, StoreError),
        (501, UnsupportedByStore),
        (507, StoreError),
    ],
)
def test_answers_to_a_put_that_no_retry_can_mend(plain, scripted, status, kind):
    scripted.script(Answer(status, headers={"Location": "http://other/"}))
    with pytest.raises(kind) as raised:
        plain.put("k", b"x", when=IfAbsent())
    assert raised.value.path == "k"
    assert len(scripted.requests) == 1


@pytest.mark.parametrize("after", ["7", "Sat, 21 Nov 2026 08:00:07 GMT"])
def test_a_wait_that_the_server_asks_for_is_told(plain, scripted, after):
    told = {"Retry-After": after, "Date": "Sat, 21 Nov 2026 08:00:00 GMT"}
    scripted.script(Answer(503, headers=told), Answer(429, headers=told))
    outcome = plain.put("k", b"x")
    assert outcome.cause.retry_after == 7
    assert "wait 7 s" in str(outcome.cause)
    with pytest.raises(StoreUnavailable) as raised:
        plain.get("k")
    assert raised.value.retry_after == 7


def test_a_server_that_demands_conditions_says_so(driver, dav):
    dav.manners.demands_conditions = True
    with pytest.raises(UnsupportedByStore, match="demands a condition"):
        driver.put("k", b"x")
    assert isinstance(driver.put("k", b"x", when=IfAbsent()), Written)


def test_weak_etags_never_match_and_are_not_sent(driver, dav):
    dav.manners.weak = True
    meta = driver.put("k", b"x").meta
    assert meta.etag is not None
    assert meta.etag.weak
    asked = len(dav.requests)
    assert driver.put("k", b"y", when=IfMatch(meta.etag)) == Refused()
    assert driver.delete("k", when=IfMatch(meta.etag)) == Refused()
    assert driver.copy("k", "c", source_when=IfMatch(meta.etag)) == Refused()
    assert len(dav.requests) == asked
    strong = ETag(meta.etag.opaque)
    assert isinstance(driver.put("k", b"y", when=IfMatch(meta.etag, strong)), Written)
    assert dav.requests[-1][2]["if-match"] == strong.quoted


def test_etag_that_is_not_told_is_not_made_up(driver, dav):
    dav.manners.tells_etags_of_puts = False
    assert driver.put("k", b"x").meta.etag is None
    assert driver.head("k").etag is not None


def test_folders_are_made_only_where_they_are_missing(driver, dav):
    driver.put("a/b/k", b"1", when=IfAbsent())
    asked = [(method, path) for method, path, _ in dav.requests]
    assert asked[0] == asked[-1] == ("PUT", "/some/folder/a/b/k")
    assert asked.count(("PUT", "/some/folder/a/b/k")) == 2
    dav.requests.clear()
    driver.put("a/b/l", b"1", when=IfAbsent())
    assert [method for method, _, _ in dav.requests] == ["PUT"]


def test_what_is_to_match_in_a_missing_folder_is_refused_and_makes_none(driver, dav):
    assert driver.put("a/k", b"x", when=IfMatch("1")) == Refused()
    assert "MKCOL" not in {method for method, _, _ in dav.requests}


def test_conflict_with_the_folder_there_is_contention(driver, dav):
    driver.put("a/k", b"x")
    dav.manners.answers += [web.Response(status=409)]
    assert driver.put("a/k", b"x", when=IfMatch("1")) == Contended(ContendedCause.CONFLICT)
    dav.manners.answers += [web.Response(status=409), web.Response(status=405)]
    dav.manners.answers += [web.Response(status=409)]
    assert driver.put("a/k", b"x", when=IfAbsent()) == Contended(ContendedCause.CONFLICT)


def test_reply_that_is_cut_after_the_write_is_unanswered_not_refused(driver, dav):
    driver.put("f/k", b"x")
    dav.manners.answers += [None]
    assert isinstance(driver.put("f/new", b"x", when=IfAbsent()), Unanswered)
    assert driver.get("f/new").data == b"x"
    dav.manners.answers += [None]
    with pytest.raises(WriteOutcomeUnknown):  # nothing on the object tells whose it is
        am.store.ObjectStore(driver).put("f/other", b"x", when=IfAbsent())
    dav.manners.answers += [None]
    am.store.ObjectStore(driver).put("f/other", b"y")
    assert driver.get("f/other").data == b"y"


def test_redirects_are_not_followed(plain, scripted):
    scripted.script(Answer(302, headers={"Location": "https://elsewhere/k?SECRET"}))
    with pytest.raises(StoreError, match="redirects") as raised:
        plain.get("k")
    assert "SECRET" not in str(raised.value)
    scripted.script(Answer(301, headers={"Location": f"{plain.url}/k/"}))
    with pytest.raises(NotFound):
        plain.get("k")
    assert len(scripted.requests) == 2


def test_range_that_the_server_ignores_is_cut(plain, scripted):
    scripted.script(Answer(200, b"0123456789"), Answer(200, b"01"))
    assert plain.get("k", range=(2, 5)).data == b"234"
    with pytest.raises(StoreError, match="no byte at 2"):
        plain.get("k", range=(2, 5))


def test_another_range_than_was_asked_for_is_refused(plain, scripted):
    scripted.script(
        Answer(206, b"ab", headers={"Content-Range": "bytes 0-1/10"}), Answer(206, b"ab")
    )
    for _ in range(2):
        with pytest.raises(StoreError, match="range"):
            plain.get("k", range=(2, 4))


def test_copies_need_a_server_that_says_so(driver, dav):
    driver.put("s", b"x")
    dav.manners.classes = ""
    with pytest.raises(UnsupportedByStore, match="offers no COPY"):
        driver.copy("s", "k")
    other = HttpDriver(driver.url)
    dav.manners.classes = "1"
    assert isinstance(other.copy("s", "k"), Written)
    with pytest.raises(UnsupportedByStore, match="class 1"):
        other.copy("s", "k", when=IfMatch("1"))


def test_listing_of_a_server_without_webdav_is_unsupported(plain, scripted):
    scripted.script(405)
    with pytest.raises(UnsupportedByStore):
        list(plain.list())
    scripted.script(Answer(207, b"<html>SECRET"))
    with pytest.raises(StoreError, match="PROPFIND") as raised:
        list(plain.list())
    assert "SECRET" not in str(raised.value)


def test_document_types_of_a_server_are_refused():
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><D:multistatus xmlns:D="DAV:">&a;</D:multistatus>'
    with pytest.raises(ValueError, match="document type"):
        read_multistatus(bomb)


def test_server_that_is_not_there_is_unavailable(free_port):
    driver = HttpDriver(f"http://127.0.0.1:{free_port}/x", connect_timeout=1)
    with pytest.raises(StoreUnavailable, match="no connection"):
        driver.get("k")
    assert isinstance(driver.put("k", b""), Unanswered)


def test_connections_are_kept(driver, dav):
    for number in range(20):
        driver.put(f"k{number}", b"x")
    assert len(dav.connections) == 1


def test_secrets_stay_out_of_messages_and_representations(scripted):
    driver = HttpDriver(
        f"{scripted.url}/x", headers={"X-Key": "SECRET"}, auth=("user", "SECRET"), timeout=5
    )
    scripted.script(Answer(400, b"SECRET", headers={"X-Told": "SECRET"}))
    with pytest.raises(StoreError) as raised:
        driver.get("k")
    assert "SECRET" not in f"{raised.value!r} {driver!r} {driver.url} {driver.endpoint}"
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("url", ["ftp://host/x", "https://", "https://u:p@host/", "http://h/?q"])
def test_urls_that_are_none_are_refused(url):
    with pytest.raises(InvalidPath):
        HttpDriver(url)


def test_a_table_lives_on_an_http_server(dav):
    url = f"{dav.url}/tables/t"
    table = am.Table.create(url, _schema())
    table.append(_rows(1, 2))
    am.Table.open(url).append(_rows(3))
    assert sorted(am.Table.open(url).to_arrow()["x"].to_pylist()) == [1, 2, 3]


def _schema():
    import pyarrow as pa

    return pa.schema([("x", pa.int64())])


def _rows(*values):
    import pyarrow as pa

    return pa.table({"x": list(values)}, schema=_schema())


@pytest.fixture
def free_port():
    from tests.servers.process import free_ports

    return free_ports(1)[0]
