"""A file is sent as the kind of media that Meta's table of types and sizes has for it."""

import pytest

from bot.whatsapp.messages.limits import TooLong, Unsendable
from bot.whatsapp.messages.media_kinds import choose_media_kind, normalize_mime_type

MB = 1024 * 1024
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@pytest.mark.parametrize(
    ("mime_type", "size", "kind", "name"),
    [
        ("image/jpeg", 5 * MB, "image", "image/jpeg"),
        ("image/png", 1, "image", "image/png"),
        ("image/jpg", 1, "image", "image/jpeg"),
        (" IMAGE/PNG ; x=1", 1, "image", "image/png"),
        ("video/mp4", 16 * MB, "video", "video/mp4"),
        ("video/3gp", 1, "video", "video/3gpp"),
        ("audio/mpeg", 16 * MB, "audio", "audio/mpeg"),
        ("audio/mp3", 1, "audio", "audio/mpeg"),
        ("audio/x-m4a", 1, "audio", "audio/mp4"),
        ("audio/aac", 1, "audio", "audio/aac"),
        ("audio/amr", 1, "audio", "audio/amr"),
        ("audio/ogg; codecs=opus", 1, "audio", "audio/ogg; codecs=opus"),
        ('Audio/OGG;codecs="opus"', 1, "audio", "audio/ogg; codecs=opus"),
        ("audio/opus", 1, "audio", "audio/ogg; codecs=opus"),
        ("application/pdf", 100 * MB, "document", "application/pdf"),
        (DOCX, 1, "document", DOCX),
        ("text/plain; charset=utf-8", 1, "document", "text/plain"),
        ("text/csv", 1, "document", "text/plain"),
    ],
)
def test_what_a_file_is_sent_as(mime_type: str, size: int, kind: str, name: str) -> None:
    assert (choose_media_kind(mime_type, size), normalize_mime_type(mime_type)) == (kind, name)


@pytest.mark.parametrize(
    ("mime_type", "size", "error", "sentence"),
    [
        (
            "application/pdf",
            100 * MB + 1,
            TooLong,
            "The document has 100.0 MB, and WhatsApp takes at most 100 MB of one.",
        ),
        ("application/pdf", 234 * MB, TooLong, "The document has 234.0 MB, and WhatsApp takes at most 100 MB of one."),
        ("image/jpeg", 6 * MB, TooLong, "The image has 6.0 MB, and WhatsApp takes at most 5 MB of one."),
        ("video/mp4", 17 * MB, TooLong, "The video has 17.0 MB, and WhatsApp takes at most 16 MB of one."),
        ("audio/mpeg", 17 * MB, TooLong, "The audio has 17.0 MB, and WhatsApp takes at most 16 MB of one."),
        ("application/pdf", 0, Unsendable, "The file is empty."),
        (
            "image/gif",
            1,
            Unsendable,
            "WhatsApp takes no files of the type image/gif. Send it as a PDF or, a picture, as JPEG.",
        ),
        (
            "image/webp",
            1,
            Unsendable,
            "WhatsApp takes no files of the type image/webp. Send it as a PDF or, a picture, as JPEG.",
        ),
        (
            "audio/ogg; codecs=vorbis",
            1,
            Unsendable,
            "WhatsApp takes no files of the type audio/ogg. Send it as a PDF or, a picture, as JPEG.",
        ),
        (
            "application/zip",
            1,
            Unsendable,
            "WhatsApp takes no files of the type application/zip. Send it as a PDF or, a picture, as JPEG.",
        ),
    ],
)
def test_what_whatsapp_does_not_take(mime_type: str, size: int, error: type[Unsendable], sentence: str) -> None:
    with pytest.raises(error) as refused:
        choose_media_kind(mime_type, size)
    assert str(refused.value) == sentence
