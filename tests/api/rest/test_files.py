"""Files over HTTP: what strangers sent can't act, and what agents upload is whole or not at all."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from api.web.credentials import Role
from api.web.file_headers import choose_inline_type, make_content_disposition, parse_range
from api.web.uploads import MAX_FILE_BYTES
from bot.whatsapp.messages.media_types import ANY_TYPE, OFFICE
from storage.sql.database import Database
from tests.api.desk.visitor import visitor
from tests.api.rest.files_service import FilesService, serve_files
from tests.api.rest_service import Service
from tests.bot.whatsapp.messages.file_heads import OPUS_VOICE, VORBIS, build_webp

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 2000
HOSTILE = b"<html><script>alert(1)</script>"


@pytest.fixture
async def there(database: Database, tmp_path: Path) -> AsyncIterator[FilesService]:
    async with serve_files(database, tmp_path / "files") as running:
        yield running


@pytest.fixture
async def light(sqlite_database: Database, tmp_path: Path) -> AsyncIterator[FilesService]:
    async with serve_files(sqlite_database, tmp_path / "files") as running:
        yield running


async def test_an_upload_is_stored_and_given_back(there: FilesService) -> None:
    response = await there.upload(PNG, "Büro 😀.png")
    assert response.status_code == 201, response.text
    data = response.json()["data"]
    assert (data["kind"], data["mime_type"], data["size"]) == ("image", "image/png", len(PNG))
    assert (data["filename"], data["state"], data["told"], data["direction"]) == ("Büro 😀.png", "stored", "", "out")
    [(sha256, stored)] = await there.rows("SELECT sha256, stored_at IS NOT NULL FROM file")
    assert (sha256, stored) == (hashlib.sha256(PNG).hexdigest(), 1)
    [(actor, action, object_id, detail)] = await there.rows(
        "SELECT actor, action, object_id, detail FROM audit WHERE action LIKE 'file.%'"
    )
    assert (action, object_id, detail) == ("file.upload", data["id"], f"Büro 😀.png ({len(PNG)} bytes)")
    assert "agent" in actor
    read = await there.call("GET", f"/api/files/{data['id']}", role=Role.VIEWER)
    assert (read.status_code, read.content) == (200, PNG)
    assert len(there.list_stored()) == 1


@pytest.mark.parametrize(
    "mime_type",
    ["audio/ogg", "application/ogg", "video/ogg", "audio/opus", "audio/x-opus+ogg", "audio/x-vorbis+ogg", "", ANY_TYPE],
)
async def test_voice_is_taken_under_any_type(light: FilesService, mime_type: str) -> None:
    response = await light.upload(OPUS_VOICE, "voice.opus", mime_type)
    assert response.status_code == 201, response.text
    data = response.json()["data"]
    assert (data["kind"], data["mime_type"], data["size"]) == ("audio", "audio/ogg; codecs=opus", len(OPUS_VOICE))
    assert (await light.call("GET", f"/api/files/{data['id']}")).content == OPUS_VOICE


@pytest.mark.parametrize("mime_type", ["audio/ogg", "audio/ogg; codecs=opus", "audio/opus", ""])
async def test_other_sound_in_ogg_is_refused(light: FilesService, mime_type: str) -> None:
    response = await light.upload(VORBIS, "song.ogg", mime_type)
    assert (response.status_code, response.json()["message"]) == (
        422,
        "WhatsApp takes OGG with Opus inside and no other, and this one is vorbis. "
        "Send it as MP3, M4A, AAC or AMR, or as OGG with Opus inside.",
    )
    assert light.list_stored() == []


@pytest.mark.parametrize(
    ("kind", "mime_type", "data", "ending"),
    [
        ("image", "image/jpeg", b"\xff\xd8\xff\xe0 a photo", ".jpg"),
        ("audio", "audio/ogg; codecs=opus", OPUS_VOICE, ".ogg"),
        ("audio", "audio/mp4", b"\0\0\0\x18ftypM4A  a song", ".m4a"),
        ("audio", "audio/amr", b"#!AMR\n a call", ".amr"),
        ("audio", "audio/aac", b"\xff\xf1 a song", ".aac"),
        ("video", "video/mp4", b"\0\0\0\x18ftypisom a film", ".mp4"),
        ("video", "video/3gpp", b"\0\0\0\x183gpp a film", ".3gp"),
        ("sticker", "image/webp", build_webp(512, 512), ".webp"),
        ("document", "application/pdf; charset=binary", b"%PDF-1.7 a letter", ".pdf"),
        ("document", f"{OFFICE}.wordprocessingml.document", b"PK\3\4 a letter", ".docx"),
        ("document", "text/csv", b"a,b", ".csv"),
    ],
)
async def test_what_a_customer_sent_can_be_sent_back(
    light: FilesService, kind: str, mime_type: str, data: bytes, ending: str
) -> None:
    """It is downloaded under the name that it gets, and uploaded by a browser that knows nothing of its type."""
    file_id = await light.file(data, filename="", mime_type=mime_type)
    read = await light.call("GET", f"/api/files/{file_id}")
    name = f"file-{file_id}{ending}"
    assert read.headers["content-disposition"] == f"attachment; filename=\"{name}\"; filename*=UTF-8''{name}"
    sent = await light.upload(read.content, name, "")
    assert (sent.status_code, sent.json()["data"]["kind"]) == (201, kind)


async def test_headers_under_which_nothing_can_act(light: FilesService) -> None:
    file_id = await light.file(HOSTILE, filename='x";\r\nSet-Cookie: a=b.html', mime_type="text/html")
    for query in ("", "?inline=1", "?inline=yes", "?inline=1&type=text/html"):
        read = await light.call("GET", f"/api/files/{file_id}{query}")
        headers = read.headers
        assert (read.status_code, headers["content-type"], read.content) == (200, ANY_TYPE, HOSTILE)
        assert headers["content-disposition"].startswith("attachment; filename=")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"] == "sandbox; default-src 'none'; frame-ancestors 'none'"
        assert headers["cache-control"] == "private, no-store"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["content-length"] == str(len(HOSTILE))
        assert "set-cookie" not in headers


async def test_a_picture_may_be_shown_in_a_page(light: FilesService) -> None:
    file_id = await light.file(PNG, filename="p.png", mime_type="text/html")
    shown = await light.call("GET", f"/api/files/{file_id}?inline=1")
    assert shown.headers["content-type"] == "image/png"
    assert shown.headers["content-disposition"] == "inline; filename=\"p.png\"; filename*=UTF-8''p.png"
    assert (await light.call("GET", f"/api/files/{file_id}")).headers["content-type"] == ANY_TYPE
    photo = await light.file(PNG, filename="")  # as photos and voice notes come
    named = (await light.call("GET", f"/api/files/{photo}")).headers["content-disposition"]
    assert named.startswith(f'attachment; filename="file-{photo}.png"')
    head = await light.call("HEAD", f"/api/files/{file_id}")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(PNG)), b"")


@pytest.mark.parametrize(
    ("head", "claimed", "expected"),
    [
        (b"\x89PNG\r\n\x1a\n", "", "image/png"), (b"\xff\xd8\xff\xe0", "", "image/jpeg"),
        (b"GIF89a=1;alert", "", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "", "image/webp"), (b"OggS\0", "", "audio/ogg"), (b"ID3\4", "", "audio/mpeg"),
        (b"\xff\xfb\x90", "", "audio/mpeg"), (b"\0\0\0\x18ftypmp42", "video/mp4", "video/mp4"),
        (b"\0\0\0\x18ftypM4A ", "", "audio/mp4"), (b"\0\0\0\x18ftypisom", "audio/mp4", "audio/mp4"),
        (b"\0\0\0\x18ftypheic", "image/heic", ANY_TYPE), (b"<svg xmlns", "image/svg+xml", ANY_TYPE),
        (b"<html>", "image/png", ANY_TYPE), (b"%PDF-1.7", "application/pdf", ANY_TYPE), (b"", "image/png", ANY_TYPE),
        (b"PK\3\4", "image/jpeg", ANY_TYPE), (b"RIFF\0\0\0\0WAVE", "audio/wav", ANY_TYPE),
        (b"<?xml", "text/xml", ANY_TYPE),
        (b"\x89PN", "image/png", ANY_TYPE), (b" \x89PNG\r\n\x1a\n", "image/png", ANY_TYPE),
        (b"<!DOCTYPE", "application/xhtml+xml", ANY_TYPE), (b"MZ", "x" * 1000, ANY_TYPE),
    ],
)  # fmt: skip
def test_what_may_be_shown(head: bytes, claimed: str, expected: str) -> None:
    assert choose_inline_type(head, claimed) == expected


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"), ("C:\\x\\y.exe", "y.exe"), ("CON", "_CON"), ("a\0.png", "a.png"),
        ("", "file-7"),
        (".htaccess", "htaccess"), ("photo\u202egnp.exe", "photognp.exe"), ("a\r\nX: y", "a_X_ y"), ('a"b;c\\d', "d"),
        ("ü😀.pdf", "ü😀.pdf"), ("100% sure.txt", "100% sure.txt"), ("a" * 5000 + ".pdf", "a" * 115 + "….pdf"),
        ("\ud800.txt", "\ufffd.txt"), ("....", "file-7"),
    ],
)  # fmt: skip
def test_names_of_downloads(name: str, shown: str) -> None:
    header = make_content_disposition(False, name, 7)
    assert header.isascii()
    assert header.isprintable()
    message = Message()
    message["Content-Disposition"] = header
    assert message.get_content_disposition() == "attachment"
    plain, _, extended = header.removeprefix('attachment; filename="').partition("\"; filename*=UTF-8''")
    assert not set(plain) & set('"\\;%\r\n')
    assert extended
    again = Message()
    again["Content-Disposition"] = f"attachment; filename*=UTF-8''{extended}"
    assert again.get_filename() == shown


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", None), ("bytes=0-0", (0, 1)), ("bytes=0-", (0, 10)), ("bytes=5-100", (5, 10)), ("bytes=-3", (7, 10)),
        ("bytes=-100", (0, 10)), ("bytes=2-4", (2, 5)), ("bytes=4-2", None), ("bytes=0-1,3-4", None), ("bytes=-", None),
        ("lines=0-1", None), ("bytes=a-b", None), ("bytes=-0", "none"), ("bytes=10-", "none"), ("bytes=99-100", "none"),
        ("bytes=" + "9" * 40 + "-", None),
    ],
)  # fmt: skip
async def test_parts_of_a_file(light: FilesService, header: str, expected: Any) -> None:
    data = b"0123456789"
    file_id = await light.file(data)
    read = await light.call("GET", f"/api/files/{file_id}?inline=1", headers={"Range": header})
    if expected == "none":
        assert (read.status_code, read.headers["content-range"]) == (416, "bytes */10")
    elif expected is None:
        assert (read.status_code, read.content) == (200, data)
        assert parse_range(header, 10) is None
    else:
        start, end = expected
        assert (read.status_code, read.content) == (206, data[start:end])
        assert read.headers["content-range"] == f"bytes {start}-{end - 1}/10"
        assert read.headers["content-length"] == str(end - start)


async def test_nobody_else_gets_in_and_there_is_nothing_to_guess(light: FilesService) -> None:
    file_id = await light.file(b"x")
    for path in (f"/api/files/{file_id}", f"/api/files/{file_id}/state"):
        assert (await light.call("GET", path, role=None)).status_code == 401
        assert (await light.call("GET", path, role=Role.VIEWER)).status_code == 200
    for role, status in ((None, 401), (Role.VIEWER, 403)):
        assert (await light.upload(PNG, role=role)).status_code == status
        assert (await light.call("POST", f"/api/files/{file_id}/retry", role=role, json={})).status_code == status
    unknown = ["1", "0", "-1", "9" * 19, "9" * 40, "x", "..", "%2e%2e%2fetc%2fpasswd", f"{file_id}.png", "१२"]
    for name in unknown:
        for suffix in ("", "/state"):
            read = await light.call("GET", f"/api/files/{name}{suffix}")
            assert (read.status_code, read.json()) == (404, {"success": False, "message": "Not found"}), name
    assert (await light.call("GET", "/api/files")).status_code == 405
    assert len(light.list_stored()) == 1


@pytest.mark.parametrize(
    ("before", "told"),
    [
        ("failed", "Could not be fetched: Why not. It is tried again until 8 Mar, 12:00 UTC."),
        ("deferred", "Not fetched: Why not. Meta keeps it until 8 Mar, 12:00 UTC: fetch it if you need it."),
    ],
)
async def test_a_file_that_is_not_there_yet_says_why_and_is_fetched_again(
    there: FilesService, before: str, told: str
) -> None:
    file_id = await there.file(state=before, reason="Why not.", attempts=3)
    read = await there.call("GET", f"/api/files/{file_id}")
    assert (read.status_code, read.json()["message"]) == (409, told)
    state = (await there.call("GET", f"/api/files/{file_id}/state")).json()["data"]
    assert (state["state"], state["told"], state["id"]) == (before, told, str(file_id))
    for _ in range(2):
        again = await there.call("POST", f"/api/files/{file_id}/retry", json={})
        assert (again.status_code, again.json()["data"]["state"]) == (200, "waiting")
    assert there.rung == [True, True]
    assert await there.rows("SELECT action FROM audit WHERE action LIKE 'file.%'") == [("file.retry",)]
    assert await there.rows("SELECT state FROM file") == [("waiting",)]


@pytest.mark.parametrize("state", ["refused", "expired", "stored"])
async def test_what_can_not_be_fetched_again(light: FilesService, state: str) -> None:
    file_id = await light.file(b"x", state=state, reason="Larger than 100 MB.")
    again = await light.call("POST", f"/api/files/{file_id}/retry", json={})
    assert (again.status_code, again.json()["success"]) == (409, False)
    assert (await light.call("POST", "/api/files/5/retry", json={})).status_code == 404
    assert light.rung == []


async def test_bytes_that_are_gone(light: FilesService) -> None:
    file_id = await light.file(b"x")
    for path in light.folder.rglob("*"):
        if path.is_file():
            path.unlink()
    assert (await light.call("GET", f"/api/files/{file_id}")).status_code == 410


def form(*parts: bytes, end: bytes = b"--B--\r\n") -> bytes:
    return b"".join(b"--B\r\n" + part + b"\r\n" for part in parts) + end


FILE = b'Content-Disposition: form-data; name="file"; filename="a.pdf"\r\nContent-Type: application/pdf\r\n\r\n'
FIELD = b'Content-Disposition: form-data; name="%d"\r\n\r\nx'
FORMS: list[tuple[str, bytes, int]] = [
    ("good", form(FILE + b"%PDF"), 201),
    ("good-among-fields", form(FIELD % 1, FILE + b"%PDF", FIELD % 2), 201),
    ("boundary-in-the-file", form(FILE + b"a\r\n--Bc\r\n--b\r\nd--B"), 201),
    ("name-with-a-header-in-it", form(FILE.replace(b"a.pdf", b"a%0d%0aX: y.pdf") + b"%PDF"), 201),
    ("no-type-but-a-name", form(FILE.replace(b"application/pdf", b"application/octet-stream") + b"%PDF"), 201),
    ("empty-file", form(FILE), 422),
    ("no-file", form(FIELD % 1), 422),
    ("nothing-chosen", form(FILE.replace(b"a.pdf", b"")), 422),
    ("a-file-without-a-name", form(FILE.replace(b"a.pdf", b"") + b"%PDF"), 422),
    ("two-files", form(FILE + b"1", FILE + b"2"), 422),
    ("a-type-nobody-takes", form(FILE.replace(b"application/pdf", b"application/x-msdownload") + b"MZ"), 422),
    ("a-gif", form(FILE.replace(b"application/pdf", b"image/gif") + b"GIF89a"), 422),
    ("a-type-with-a-break", form(FILE.replace(b"application/pdf", b"a/b\r\nX: y") + b"1"), 422),
    ("ten-thousand-parts", form(*[FIELD % at for at in range(10_000)], FILE + b"1"), 413),
    ("a-field-too-long", form(b'Content-Disposition: form-data; name="x"\r\n\r\n' + b"x" * 400_000), 413),
    ("headers-without-end", b"--B\r\nX: " + b"x" * 2_000_000, 413),
    ("no-end", form(FILE + b"%PDF", end=b""), 400),
    ("cut-in-a-header", b"--B\r\nContent-Disp", 400),
    ("no-disposition", form(b"X: y\r\n\r\n1"), 400),
    ("header-that-is-no-text", form(b"Content-Disposition: \xff\xfe\r\n\r\n1"), 400),
    ("another-boundary", form(FILE + b"%PDF").replace(b"--B", b"--C"), 400),
    ("nothing", b"", 400),
    ("no-form", b"hello" * 1000, 400),
]


@pytest.mark.parametrize(("body", "status"), [pytest.param(body, status, id=name) for name, body, status in FORMS])
async def test_forms(light: FilesService, body: bytes, status: int) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    response = await light.call("POST", "/api/files", content=body, headers=headers)
    assert (response.status_code, response.json()["success"]) == (status, status == 201), response.text
    assert len(light.list_stored()) == (status == 201)
    assert (
        len(await light.rows("SELECT id FROM file"))
        == len(await light.rows("SELECT id FROM audit WHERE action LIKE 'file.%'"))
        == (status == 201)
    )
    if status == 201:
        [(name, mime)] = await light.rows("SELECT filename, mime_type FROM file")
        assert mime == "application/pdf"
        assert "\r" not in name
        assert "\n" not in name


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "multipart/mixed; boundary=B", "application/x-www-form-urlencoded", "x"]
)
async def test_what_is_no_form(light: FilesService, kind: str) -> None:
    response = await light.call("POST", "/api/files", content=form(FILE + b"1"), headers={"Content-Type": kind})
    assert response.status_code in (415, 422)
    assert response.json()["message"] == "Send the file in a form, with Content-Type: multipart/form-data"
    assert light.list_stored() == []


async def test_the_head_of_a_part_is_bounded(light: FilesService) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    for count, status in ((3, 201), (20_000, 413)):
        head = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.png"' + b"; a=b" * count
        body = head + b"\r\nContent-Type: image/png\r\n\r\n" + PNG + b"\r\n--B--\r\n"
        response = await light.call("POST", "/api/files", content=body, headers=headers)
        assert response.status_code == status, response.text


async def trickle(total: int, piece: bytes = b"x" * 65536) -> AsyncIterator[bytes]:
    yield b"--B\r\n" + FILE
    for _ in range(total // len(piece)):
        yield piece
    yield b"x" * (total % len(piece)) + b"\r\n--B--\r\n"


async def test_one_byte_more_than_the_largest_file(light: FilesService) -> None:
    """Without a Content-Length, so that only counting helps."""
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    response = await light.call("POST", "/api/files", content=trickle(MAX_FILE_BYTES + 1), headers=headers)
    assert (response.status_code, response.json()["message"]) == (413, "The file is larger than 100 MB.")
    assert light.list_stored() == []


async def test_who_is_not_let_in_need_not_send_it_all(light: FilesService) -> None:
    """A stranger announces 100 MB and gets the answer without a byte of them being taken."""
    reader, writer = await asyncio.open_connection("127.0.0.1", light.port)
    writer.write(
        b"POST /api/files HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=B\r\n"
        b"Content-Length: 104857600\r\n\r\n--B\r\n" + FILE
    )
    assert b" 401 " in await asyncio.wait_for(reader.readline(), 10)
    writer.close()


async def test_an_upload_that_breaks_off_leaves_nothing(light: FilesService) -> None:
    key = light.keys[Role.AGENT]
    _, writer = await asyncio.open_connection("127.0.0.1", light.port)
    writer.write(
        b"POST /api/files HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=B\r\n"
        b"Content-Length: 104857600\r\nAuthorization: Bearer %s\r\n\r\n--B\r\n" % key.encode() + FILE + b"x" * 500_000
    )
    await writer.drain()
    async with asyncio.timeout(10):
        while not light.list_stored():
            await asyncio.sleep(0.02)
        announced = await light.rows("SELECT state FROM file")  # should this process die now, the clean-up finds it
        assert [row[0] for row in announced] == ["loose"]
        writer.close()
        while light.list_stored() or await light.rows("SELECT id FROM file"):
            await asyncio.sleep(0.02)


async def test_somebody_signed_in_at_the_desk(light_service: Service) -> None:
    """A session reads; to upload it says its token, and the file is what the page then shows."""
    form = {"file": ("a.png", PNG, "image/png")}
    async with visitor(light_service, Role.AGENT) as agent, visitor(light_service) as stranger:
        origin = {"Origin": str(agent.http.base_url).rstrip("/")}
        token = {"X-CSRF-Token": await agent.token()}
        for headers in (
            {},
            origin,
            token,
            origin | {"X-CSRF-Token": "0" * 64},
            {"Origin": "https://example.org"} | token,
        ):
            assert (await agent.http.post("/api/files", files=form, headers=headers)).status_code == 403
        uploaded = await agent.http.post("/api/files", files=form, headers=origin | token)
        assert uploaded.status_code == 201, uploaded.text
        path = f"/api/files/{uploaded.json()['data']['id']}"
        read = await agent.get(f"{path}?inline=1")
        assert (read.content, read.headers["content-type"]) == (PNG, "image/png")
        assert read.headers["content-security-policy"] == "sandbox; default-src 'none'; frame-ancestors 'none'"
        assert (await stranger.get(path)).status_code == 401
        assert (await stranger.http.post("/api/files", files=form, headers=origin | token)).status_code == 401
        await light_service.execute("UPDATE agent SET disabled_at = 1")
        assert (await agent.get(path)).status_code == 401
