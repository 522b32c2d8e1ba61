"""The type of a file is told by its bytes where only those tell, else by what was claimed, else by its name."""

import pytest

from bot.whatsapp.messages.media_types import (
    ANY_TYPE,
    ENDINGS,
    OPUS,
    find_ending,
    normalize_mime_type,
    read_webp_shape,
    recognize_mime_type,
)
from tests.bot.whatsapp.messages.file_heads import (
    DESCRIBED_OPUS,
    FILM,
    FLAC,
    OPUS_VOICE,
    SPEEX,
    VORBIS,
    build_ogg,
    build_ogg_page,
    build_webp,
)

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
CLAIMS_OF_OGG = (
    "audio/ogg", "application/ogg", "video/ogg", "audio/opus", "audio/x-opus", "audio/x-opus+ogg", "audio/x-ogg",
    "audio/x-vorbis+ogg", "application/x-ogg", "video/x-ogg", "audio/vorbis", "", ANY_TYPE, "audio/ogg; codecs=opus",
    "audio/ogg; codecs=vorbis", "audio/mpeg",
)  # fmt: skip


@pytest.mark.parametrize("claimed", CLAIMS_OF_OGG)
@pytest.mark.parametrize("name", ["voice.ogg", "voice.oga", "voice.opus", "", "voice"])
def test_opus_in_ogg_is_voice_whatever_it_is_called(claimed: str, name: str) -> None:
    for head in (OPUS_VOICE, DESCRIBED_OPUS):
        assert recognize_mime_type(claimed, name, head) == OPUS
        assert recognize_mime_type(claimed, name, head[:4096]) == OPUS


@pytest.mark.parametrize("claimed", CLAIMS_OF_OGG)
@pytest.mark.parametrize(
    ("head", "found"),
    [(VORBIS, "vorbis"), (FLAC, "flac"), (SPEEX, "speex"), (FILM, "opus,theora"), (build_ogg(b"???"), "unknown")],
)
def test_other_sound_in_ogg_is_not_voice_whatever_it_is_called(claimed: str, head: bytes, found: str) -> None:
    assert recognize_mime_type(claimed, "voice.opus", head) == f"audio/ogg; codecs={found}"


@pytest.mark.parametrize(
    "head",
    [b"", b"OggS", b"OggS\0", b"OggS\0\2", b"ID3\4 a song", b"\x1aE\xdf\xa3 webm", b"OggS\1\2" + b"\0" * 60,
     build_ogg_page(b"OpusHead", begins=False)],
)  # fmt: skip
@pytest.mark.parametrize("claimed", CLAIMS_OF_OGG[:6])
def test_what_only_claims_to_be_voice_is_not(claimed: str, head: bytes) -> None:
    found = recognize_mime_type(claimed, "voice.ogg", head)
    assert found.partition(";")[0] == "audio/ogg"
    assert found != OPUS


@pytest.mark.parametrize(
    ("claimed", "name", "head", "found"),
    [
        ("image/jpg", "a.png", b"", "image/jpeg"),
        ("image/pjpeg", "", b"", "image/jpeg"),
        ("audio/x-m4a", "", b"", "audio/mp4"),
        ("audio/x-mp3", "", b"", "audio/mpeg"),
        ("application/pdf; charset=binary", "", b"", "application/pdf"),
        ("text/csv", "", b"", "text/plain"),
        ("application/zip", "a.pdf", b"%PDF-1.7", "application/zip"),  # who claims something is believed
        ("", "a.DOCX", b"PK\3\4", DOCX),
        (ANY_TYPE, "Report final.docx", b"PK\3\4", DOCX),
        ("binary/octet-stream", "a.pdf", b"", "application/pdf"),
        ("", "scan", b"%PDF-1.4", "application/pdf"),
        ("", "IMG_1", b"\xff\xd8\xff\xe0", "image/jpeg"),
        ("", "", b"\x89PNG\r\n\x1a\n", "image/png"),
        ("", "sticker", build_webp(512, 512), "image/webp"),
        ("", "song", b"\0\0\0\x18ftypM4A ", "audio/mp4"),
        ("", "film.mp4", b"\0\0\0\x18ftypisom", "video/mp4"),
        ("", "call.amr", b"#!AMR\n", "audio/amr"),
        ("", "notes.log", b"", "text/plain"),
        ("", "a.zip", b"PK\3\4", "application/zip"),
        ("", "a.unheard-of", b"", ANY_TYPE),
        ("", "", b"", ANY_TYPE),
    ],
)
def test_a_type_that_is_missing_is_told_by_bytes_and_name(claimed: str, name: str, head: bytes, found: str) -> None:
    assert recognize_mime_type(claimed, name, head) == found


@pytest.mark.parametrize(
    ("mime_type", "ending"),
    [
        (OPUS, ".ogg"), ("audio/opus", ".ogg"), ("image/jpg", ".jpg"), ("application/pdf; charset=binary", ".pdf"),
        ("VIDEO/3GPP", ".3gp"), ("text/csv", ".csv"), ("text/x-log", ".txt"), (DOCX, ".docx"), ("text/html", ".txt"),
        ("application/x-msdownload", ""), ("", ""), (ANY_TYPE, ""),
    ],
)  # fmt: skip
def test_the_ending_of_a_type(mime_type: str, ending: str) -> None:
    assert find_ending(mime_type) == ending


def test_every_ending_leads_back_to_its_type() -> None:
    for mime_type, ending in ENDINGS.items():
        assert recognize_mime_type("", f"a{ending}", b"") == normalize_mime_type(mime_type)


@pytest.mark.parametrize("form", [b"VP8X", b"VP8L", b"VP8 "])
def test_how_large_a_webp_picture_is(form: bytes) -> None:
    for size in ((512, 512), (1, 1), (1600, 900)):
        shape = read_webp_shape(build_webp(*size, form))
        assert shape is not None
        assert (shape.width, shape.height, shape.is_animated) == (*size, False)
    assert read_webp_shape(build_webp(512, 512, form)[:29]) is None
    assert read_webp_shape(build_webp(512, 512, b"JUNK")) is None


def test_a_webp_picture_may_move() -> None:
    shape = read_webp_shape(build_webp(512, 512, flags=2))
    assert shape is not None
    assert shape.is_animated
