"""A downloaded file is there whole, or not at all; what has come is not fetched twice."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from muster.agents.actions import (
    WikipediaEngine,
    download,
    download_file,
    periodic_health_check,
)
from muster.messages import DownloadFailed, InvalidInput, SearchFailed

CONTENT = bytes(range(256)) * 400
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_FIRST_PAUSE_S", 0.001)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "downloads" / "chests.zip"


def content_of(path: Path) -> bytes:
    return path.read_bytes()


def put(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def a_file(content: bytes = CONTENT, *, breaks_at: list[int] | None = None, etag: str = '"1"'):
    """A server's behaviour: it knows ranges, and breaks off where it is told, once each."""
    breaks = list(breaks_at or [])

    async def serve(connection: Any) -> None:
        headers = {"ETag": etag} if etag else {}
        wanted, first = connection.request.headers.get("range"), 0
        status = "200 OK"
        if wanted is not None and connection.request.headers.get("if-range") == etag:
            first = int(wanted.removeprefix("bytes=").removesuffix("-"))
            status = "206 Partial Content"
            if first >= len(content):
                headers = {**headers, "Content-Range": f"bytes */{len(content)}"}
                await connection.answer(b"", "416 Range Not Satisfiable", headers)
                return
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        headers["Content-Length"] = str(len(content) - first)
        await connection.head(status, headers)
        await connection.send(content[first : breaks.pop(0) if breaks else None])

    return serve


async def test_a_file_comes_whole_with_its_checksum_and_leaves_nothing_beside_it(
    server: Any, told: Any, target: Path
) -> None:
    server.behaviour = a_file()
    done = await download_file(told, f"{server.url}/chests.zip", target, sha256=SHA256.upper())
    assert content_of(target) == CONTENT
    assert left_in(target.parent) == ["chests.zip"]
    assert done == {
        "path": str(target),
        "url": f"{server.url}/chests.zip",
        "size_bytes": len(CONTENT),
        "sha256": SHA256,
        "resumed_from_bytes": 0,
    }
    assert told.seen[-1] == 100.0
    assert told.seen == sorted(set(told.seen))
    assert 10 < len(told.seen) <= 101


async def test_a_file_of_that_name_is_replaced_and_empty_files_can_be_had(
    server: Any, told: Any, target: Path
) -> None:
    target.parent.mkdir()
    put(b"old", target)
    server.behaviour = a_file(b"")
    await download_file(told, server.url, target)
    assert content_of(target) == b""


async def test_redirects_are_followed(server: Any, told: Any, target: Path) -> None:
    async def serve(connection: Any) -> None:
        if connection.request.target == "/old":
            await connection.answer(b"", "302 Found", {"Location": "/new"})
        else:
            await connection.answer(b"tea")

    server.behaviour = serve
    done = await download_file(told, f"{server.url}/old", target)
    assert done["url"] == f"{server.url}/new"
    assert content_of(target) == b"tea"


async def test_where_the_connection_breaks_it_goes_on_from_there(
    server: Any, told: Any, target: Path
) -> None:
    server.behaviour = a_file(breaks_at=[30_000, 30_000, 70_000])
    done = await download_file(told, server.url, target, sha256=SHA256)
    assert done["sha256"] == SHA256
    assert content_of(target) == CONTENT
    assert "range" not in server.requests[0].headers
    assert all(each.headers["if-range"] == '"1"' for each in server.requests[1:])
    assert len(server.requests) == 4


@pytest.mark.parametrize("etag", ["", 'W/"1"'], ids=["none", "weak"])
async def test_without_a_mark_of_the_version_it_begins_anew(
    server: Any, told: Any, target: Path, etag: str
) -> None:
    server.behaviour = a_file(breaks_at=[30_000], etag=etag)
    await download_file(told, server.url, target, sha256=SHA256)
    assert [each.headers.get("range") for each in server.requests] == [None, None]


async def test_a_version_that_changed_in_between_is_fetched_whole(
    server: Any, told: Any, target: Path
) -> None:
    behaviours = [a_file(bytes(100_000), breaks_at=[30_000], etag='"old"'), a_file(etag='"new"')]

    async def serve(connection: Any) -> None:
        await behaviours.pop(0)(connection)

    server.behaviour = serve
    done = await download_file(told, server.url, target)
    assert content_of(target) == CONTENT
    assert done["resumed_from_bytes"] == 0


async def test_what_a_failed_download_left_is_where_the_next_goes_on(
    server: Any, told: Any, target: Path
) -> None:
    async def fail(connection: Any) -> None:
        await connection.answer(b"", "503 Service Unavailable")

    first = a_file(breaks_at=[50_000])

    async def serve_once(connection: Any) -> None:
        server.behaviour = fail
        await first(connection)

    server.behaviour = serve_once
    with pytest.raises(DownloadFailed, match=r"it answered 503 Service Unavailable; .* received"):
        await download_file(told, server.url, target)
    # Five times in a row without a byte more.
    assert len(server.requests) == 6
    assert left_in(target.parent) == ["chests.zip.part", "chests.zip.part.json"]
    left = (target.parent / "chests.zip.part").stat().st_size
    assert 0 < left <= 50_000
    server.behaviour = a_file()
    done = await download_file(told, server.url, target, sha256=SHA256)
    assert done["resumed_from_bytes"] == left
    assert server.requests[-1].headers["range"] == f"bytes={left}-"
    assert left_in(target.parent) == ["chests.zip"]


async def test_a_part_that_is_whole_already_is_not_fetched_again(
    server: Any, told: Any, target: Path
) -> None:
    target.parent.mkdir()
    (target.parent / "chests.zip.part").write_bytes(CONTENT)
    url_sha256 = hashlib.sha256(server.url.encode()).hexdigest()
    note = json.dumps({"url_sha256": url_sha256, "validator": '"1"'})
    (target.parent / "chests.zip.part.json").write_text(note)
    server.behaviour = a_file()
    done = await download_file(told, server.url, target)
    assert (done["resumed_from_bytes"], done["sha256"]) == (len(CONTENT), SHA256)


@pytest.mark.parametrize(
    "note", ["{", "[]", '{"url_sha256": "0", "validator": "1"}', '{"validator": 1}']
)
async def test_a_part_of_something_else_is_not_gone_on_with(
    server: Any, told: Any, target: Path, note: str
) -> None:
    target.parent.mkdir()
    (target.parent / "chests.zip.part").write_bytes(b"something else")
    (target.parent / "chests.zip.part.json").write_text(note)
    server.behaviour = a_file()
    await download_file(told, server.url, target, sha256=SHA256)
    assert "range" not in server.requests[0].headers


async def test_a_part_with_another_range_than_was_asked_for_is_not_taken(
    server: Any, told: Any, target: Path
) -> None:
    breaking = a_file(breaks_at=[30_000])

    async def serve(connection: Any) -> None:
        if "range" in connection.request.headers:
            headers = {"Content-Range": f"bytes 5-9/{len(CONTENT)}", "ETag": '"1"'}
            await connection.answer(b"wrong", "206 Partial Content", headers)
        else:
            await breaking(connection)

    server.behaviour = serve
    await download_file(told, server.url, target, sha256=SHA256)
    assert content_of(target) == CONTENT


async def test_a_cancelled_download_leaves_nothing_and_what_was_there_stays(
    server: Any, told: Any, target: Path, until: Any
) -> None:
    target.parent.mkdir()
    put(b"old", target)

    async def serve(connection: Any) -> None:
        await connection.head("200 OK", {"Content-Length": "1000000", "ETag": '"1"'})
        await connection.send(bytes(500_000))
        await asyncio.sleep(30)

    server.behaviour = serve
    work = asyncio.ensure_future(download_file(told, server.url, target))
    await until(lambda: told.progress >= 40)
    assert "chests.zip.part" in left_in(target.parent)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert left_in(target.parent) == ["chests.zip"]
    assert content_of(target) == b"old"


async def test_a_wrong_checksum_leaves_nothing(server: Any, told: Any, target: Path) -> None:
    server.behaviour = a_file()
    with pytest.raises(DownloadFailed, match=f"has the SHA-256 {SHA256}, not {'0' * 64}"):
        await download_file(told, server.url, target, sha256="0" * 64)
    assert left_in(target.parent) == []


async def test_a_file_that_says_it_is_too_large_is_not_fetched(
    server: Any, told: Any, target: Path
) -> None:
    server.behaviour = a_file()
    with pytest.raises(DownloadFailed, match=r"has 102,400 bytes, but max_bytes is 102,399"):
        await download_file(told, server.url, target, max_bytes=len(CONTENT) - 1)
    assert left_in(target.parent) == []
    await download_file(told, server.url, target, max_bytes=len(CONTENT))
    assert content_of(target) == CONTENT


async def test_a_file_without_an_end_is_given_up_at_the_limit(
    server: Any, told: Any, target: Path
) -> None:
    async def serve(connection: Any) -> None:
        await connection.head("200 OK", {})
        while True:
            await connection.send(bytes(10_000))

    server.behaviour = serve
    with pytest.raises(DownloadFailed, match="has more than 100,000 bytes"):
        await download_file(told, server.url, target, max_bytes=100_000)
    assert left_in(target.parent) == []
    assert told.seen == []


async def test_what_is_not_there_is_told_with_its_status_and_not_tried_again(
    server: Any, told: Any, target: Path
) -> None:
    async def serve(connection: Any) -> None:
        await connection.answer(b"no", "404 Not Found")

    server.behaviour = serve
    with pytest.raises(DownloadFailed, match="answered 404 Not Found"):
        await download_file(told, server.url, target)
    assert len(server.requests) == 1
    assert left_in(target.parent) == []


async def test_what_may_be_secret_in_an_address_is_told_to_nobody(
    server: Any, told: Any, target: Path
) -> None:
    async def fail(connection: Any) -> None:
        await connection.answer(b"", "404 Not Found")

    host = server.url.removeprefix("http://")
    server.behaviour = fail
    with pytest.raises(DownloadFailed) as caught:
        await download_file(told, f"http://ada:word@{host}/chests?token=word", target)
    assert str(caught.value) == f"http://{host}/chests answered 404 Not Found"
    server.behaviour = a_file(breaks_at=[50_000])
    done = await download_file(told, f"http://ada:word@{host}/chests?token=word", target)
    assert done["url"] == f"http://{host}/chests"
    with pytest.raises(InvalidInput) as refused:
        await download_file(told, f"ftp://ada:word@{host}/chests?token=word", target)
    assert "word" not in str(refused.value)


async def test_a_server_that_falls_silent_is_given_up_after_so_many_tries(
    server: Any, told: Any, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MAX_TRIES", 2)

    async def serve(connection: Any) -> None:
        del connection
        await asyncio.sleep(30)

    server.behaviour = serve
    with pytest.raises(DownloadFailed, match=r"Timeout.*; 0 bytes received"):
        await download_file(told, server.url, target, timeout_s=0.2)
    assert len(server.requests) <= 2


async def test_two_downloads_to_one_destination_are_refused_while_the_first_goes_on(
    server: Any, told: Any, target: Path, until: Any
) -> None:
    go_on = asyncio.Event()

    async def serve(connection: Any) -> None:
        await go_on.wait()
        await connection.answer(CONTENT)

    server.behaviour = serve
    first = asyncio.ensure_future(download_file(told, server.url, target))
    await until(lambda: server.requests)
    with pytest.raises(InvalidInput, match=r"another download to .* is running"):
        await download_file(told, server.url, target)
    go_on.set()
    await first
    assert content_of(target) == CONTENT


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
async def test_a_full_disk_is_told_and_the_next_download_may_have_the_place(
    server: Any, told: Any, target: Path
) -> None:
    target.parent.mkdir()
    os.symlink("/dev/full", target.parent / "chests.zip.part")
    server.behaviour = a_file()
    with pytest.raises(OSError, match="No space left"):
        await download_file(told, server.url, target)
    (target.parent / "chests.zip.part").unlink()
    await download_file(told, server.url, target)
    assert content_of(target) == CONTENT


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"url": "ftp://127.0.0.1/a"}, "must start with http"),
        ({"url": "http://"}, "must start with http"),
        ({"url": 7}, "must start with http"),
        ({"chunk_size": 0}, "chunk_size is 0"),
        ({"chunk_size": True}, "chunk_size is True"),
        ({"max_bytes": -1}, "max_bytes is -1"),
        ({"timeout_s": 0}, "timeout_s is 0"),
        ({"sha256": "abc"}, "sha256 is 'abc'"),
    ],
)
async def test_arguments_out_of_range_are_refused_at_the_call(
    told: Any, target: Path, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        await download_file(told, **{"url": "http://127.0.0.1", "destination": target, **arguments})
    assert left_in(target.parent) == []


async def test_a_destination_that_is_a_folder_or_cannot_be_is_refused(
    told: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InvalidInput, match="which is a folder"):
        await download_file(told, "http://127.0.0.1", tmp_path)
    with pytest.raises(InvalidInput, match="can't write to"):
        await download_file(told, "http://127.0.0.1", tmp_path / "file" / "below")


@pytest.mark.parametrize("destination", ["tea\0.txt", "tea\ud800", b"tea.txt", None, 7], ids=ascii)
async def test_a_destination_that_no_file_can_have_is_refused(
    told: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, destination: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInput, match=r"destination is|can't write to"):
        await download_file(told, "http://127.0.0.1", destination)
    assert left_in(tmp_path) == []


# ---------------------------------------------------------------- the bytes, and nothing but them

PACKED = gzip.compress(CONTENT, mtime=0)


@pytest.mark.parametrize(
    ("path", "headers", "keeps"),
    [
        ("/chests.tar.gz", {}, True),
        ("/chests.tgz", {}, True),
        ("/chests.TAR.GZ?token=1", {}, True),
        ("/chests.svgz", {"Content-Encoding": "x-gzip"}, True),
        ("/chests", {"Content-Type": "application/gzip"}, True),
        ("/chests", {"Content-Type": "application/x-gzip; charset=binary"}, True),
        ("/chests.html", {}, False),
        ("/chests.zip", {}, False),
        ("/chests.html", {"Content-Encoding": "x-gzip"}, False),
        ("/chests", {"Content-Type": "text/plain"}, False),
    ],
)
async def test_what_a_server_calls_an_encoding_is_kept_where_the_file_itself_is_packed(
    server: Any, told: Any, tmp_path: Path, path: str, headers: dict[str, str], keeps: bool
) -> None:
    async def serve(connection: Any) -> None:
        await connection.answer(PACKED, headers={"Content-Encoding": "gzip", **headers})

    server.behaviour = serve
    expected = PACKED if keeps else CONTENT
    checksum = hashlib.sha256(expected).hexdigest()
    await download_file(told, server.url + path, tmp_path / "file", sha256=checksum)
    assert content_of(tmp_path / "file") == expected


async def test_the_name_of_the_destination_says_as_well_what_the_file_is(
    server: Any, told: Any, tmp_path: Path
) -> None:
    async def serve(connection: Any) -> None:
        await connection.answer(PACKED, headers={"Content-Encoding": "gzip"})

    server.behaviour = serve
    await download_file(told, f"{server.url}/latest", tmp_path / "chests.gz")
    assert content_of(tmp_path / "chests.gz") == PACKED


@pytest.mark.parametrize("encoding", ["br", "compress", "gzip, gzip", "unheard-of"])
async def test_an_encoding_that_cannot_be_decoded_is_told_and_nothing_kept(
    server: Any, told: Any, target: Path, encoding: str
) -> None:
    async def serve(connection: Any) -> None:
        await connection.answer(b"\x0b\x02\x80tea\x03", headers={"Content-Encoding": encoding})

    server.behaviour = serve
    with pytest.raises(DownloadFailed, match="was not requested and is not supported"):
        await download_file(told, f"{server.url}/tea.txt", target)
    assert left_in(target.parent) == []


async def test_a_packed_file_is_gone_on_with_where_the_connection_broke(
    server: Any, told: Any, target: Path
) -> None:
    packed = gzip.compress(os.urandom(100_000), mtime=0)
    serve_file = a_file(packed, breaks_at=[30_000])

    async def serve(connection: Any) -> None:
        real_head = connection.head

        async def head(status: str, headers: dict[str, str]) -> None:
            await real_head(status, {**headers, "Content-Encoding": "gzip"})

        connection.head = head
        await serve_file(connection)

    server.behaviour = serve
    await download_file(told, f"{server.url}/chests.gz", target)
    assert content_of(target) == packed
    assert server.requests[-1].headers["range"].startswith("bytes=")


# ------------------------------------------------------------------- which version a part is of

SENT = "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    ("modified", "date", "goes_on"),
    [
        ("Sun, 06 Nov 1994 08:49:36 GMT", SENT, True),
        ("Sat, 05 Nov 1994 08:49:37 GMT", SENT, True),
        (SENT, SENT, False),
        ("Sun, 06 Nov 1994 08:49:38 GMT", SENT, False),
        ("Sun, 06 Nov 1994 08:49:36 GMT", None, False),
        ("yesterday", SENT, False),
        ("Sat, 05 Nov 1994 08:49:37 GMT", "today", False),
    ],
)
async def test_a_date_marks_a_version_only_where_none_can_have_followed_in_its_second(
    server: Any, told: Any, target: Path, modified: str, date: str | None, goes_on: bool
) -> None:
    parts = [CONTENT[:30_000], CONTENT[30_000:]]

    async def serve(connection: Any) -> None:
        wanted = connection.request.headers.get("range")
        headers = {"Last-Modified": modified} | ({} if date is None else {"Date": date})
        if wanted is None:
            size = str(len(CONTENT))
            await connection.head("200 OK", {"Content-Length": size, **headers})
            await connection.send(CONTENT if server.requests[1:] else parts[0])
            return
        assert connection.request.headers["if-range"] == modified
        first = int(wanted.removeprefix("bytes=").removesuffix("-"))
        headers["Content-Range"] = f"bytes {first}-{len(CONTENT) - 1}/{len(CONTENT)}"
        await connection.answer(CONTENT[first:], "206 Partial Content", headers)

    server.behaviour = serve
    await download_file(told, server.url, target, sha256=SHA256)
    assert ("range" in server.requests[-1].headers) is goes_on


@pytest.mark.parametrize("mark", ["ETag", "Last-Modified"])
async def test_a_part_of_another_version_is_not_joined_though_the_server_sends_it(
    server: Any, told: Any, target: Path, mark: str
) -> None:
    old, new = ('"old"', '"new"') if mark == "ETag" else ("Sat, 05 Nov 1994 08:49:37 GMT", SENT)
    dated = {"Date": "Mon, 07 Nov 1994 08:49:37 GMT"}

    async def serve(connection: Any) -> None:
        wanted = connection.request.headers.get("range")
        if not server.requests[1:]:
            await connection.head("200 OK", {"Content-Length": "60000", mark: old, **dated})
            await connection.send(bytes(30_000))
        elif wanted is not None:
            # It ignores If-Range.
            first = int(wanted.removeprefix("bytes=").removesuffix("-"))
            headers = {"Content-Range": f"bytes {first}-{len(CONTENT) - 1}/{len(CONTENT)}"}
            await connection.answer(
                CONTENT[first:], "206 Partial Content", {**headers, mark: new, **dated}
            )
        else:
            await connection.answer(CONTENT, headers={mark: new, **dated})

    server.behaviour = serve
    await download_file(told, server.url, target, sha256=SHA256)
    assert content_of(target) == CONTENT


async def test_a_part_of_a_file_of_another_size_is_not_joined(
    server: Any, told: Any, target: Path
) -> None:
    async def serve(connection: Any) -> None:
        wanted = connection.request.headers.get("range")
        if not server.requests[1:]:
            await connection.head("200 OK", {"Content-Length": "60000", "ETag": '"1"'})
            await connection.send(bytes(30_000))
        elif wanted is not None:
            # It ignores If-Range, and does not say which version it sends.
            first = int(wanted.removeprefix("bytes=").removesuffix("-"))
            headers = {"Content-Range": f"bytes {first}-{len(CONTENT) - 1}/{len(CONTENT)}"}
            await connection.answer(CONTENT[first:], "206 Partial Content", headers)
        else:
            await connection.answer(CONTENT, headers={"ETag": '"2"'})

    server.behaviour = serve
    await download_file(told, server.url, target, sha256=SHA256)
    assert content_of(target) == CONTENT


# ---------------------------------------------------------------------------- names and addresses


@pytest.mark.parametrize("size", [245, 246, 255])
@pytest.mark.parametrize("letter", ["a", "ß", "茶"])
async def test_names_as_long_as_the_file_system_takes(
    server: Any, told: Any, tmp_path: Path, size: int, letter: str
) -> None:
    name = (letter * size).encode()[:size].decode(errors="ignore")
    server.behaviour = a_file(breaks_at=[30_000])
    await download_file(told, server.url, tmp_path / name, sha256=SHA256)
    assert left_in(tmp_path) == [name]


async def test_a_name_that_is_too_long_is_refused_before_anything_is_fetched(
    server: Any, told: Any, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match="File name too long"):
        await download_file(told, server.url, tmp_path / ("a" * 256))
    assert server.requests == []


async def test_two_long_names_with_one_beginning_do_not_share_their_parts(
    server: Any, told: Any, tmp_path: Path
) -> None:
    server.behaviour = a_file()
    names = ["a" * 254 + end for end in "bc"]
    await asyncio.gather(*(download_file(told, server.url, tmp_path / name) for name in names))
    assert left_in(tmp_path) == names


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_link_as_destination_is_followed(
    server: Any, told: Any, tmp_path: Path, is_there: bool
) -> None:
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real" / "file", tmp_path / "link"
    if is_there:
        put(b"old", real)
    os.symlink(real, link)
    server.behaviour = a_file()
    done = await download_file(told, server.url, link)
    assert os.readlink(link) == str(real)
    assert content_of(real) == CONTENT
    assert left_in(tmp_path / "real") == ["file"]
    assert done["path"] == str(link)


async def test_links_in_a_circle_are_refused(server: Any, told: Any, tmp_path: Path) -> None:
    os.symlink("b", tmp_path / "a")
    os.symlink("a", tmp_path / "b")
    with pytest.raises(InvalidInput, match="can't write to"):
        await download_file(told, server.url, tmp_path / "a")


BAD_URLS = [
    "http://127.0.0.1:99999/",
    "http://127.0.0.1:65536/",
    "http://127.0.0.1:-1/",
    "http://127.0.0.1:0/",
    "http://127.0.0.1:abc/",
    "http://[",
    "http://[::1",
    "http://[v1.x]/",
    "http://xn--a/",
    "http:///x",
    "http://ex\x01ample/",
    "//127.0.0.1/",
    "http:",
    "javascript:alert(1)",
    "",
]


@pytest.mark.parametrize("url", BAD_URLS)
async def test_what_is_no_address_is_refused_at_the_call(told: Any, target: Path, url: str) -> None:
    with pytest.raises(InvalidInput, match="must start with http"):
        await download_file(told, url, target)
    with pytest.raises(InvalidInput, match="must start with http"):
        await periodic_health_check(told, url, max_checks=1)
    with pytest.raises(InvalidInput, match="must start with http"):
        WikipediaEngine(url)
    assert left_in(target.parent) == []


@pytest.mark.parametrize("url", [*(each for each in BAD_URLS if each[4:]), "ftp://127.0.0.1/x"])
async def test_a_redirect_to_what_is_no_address_is_a_fault_of_that_download_or_check(
    server: Any, told: Any, target: Path, url: str
) -> None:
    async def serve(connection: Any) -> None:
        if connection.request.target != "/":
            await connection.answer(b"", "404 Not Found")
        else:
            await connection.answer(b"", "302 Found", {"Location": url})

    server.behaviour = serve
    with pytest.raises((DownloadFailed, InvalidInput)):
        await download_file(told, f"{server.url}/", target)
    report = await periodic_health_check(told, f"{server.url}/", max_checks=1)
    assert (report["checks"], report["healthy"]) == (1, 0)
    with pytest.raises(SearchFailed):
        await WikipediaEngine(f"{server.url}").search("tea")
