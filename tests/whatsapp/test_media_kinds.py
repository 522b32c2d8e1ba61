"""What a file is sent as, by Meta's table of types and sizes."""

import pytest

from bot.whatsapp.media_kinds import upload_types
from bot.whatsapp.outgoing import TooLong, Unsendable, media_kind, upload_type

MB = 1024 * 1024
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@pytest.mark.parametrize(
    ("mime_type", "size", "kind", "name"),
    [
        ("image/jpeg", 5 * MB, "image", "image/jpeg"),
        ("image/jpeg", 5 * MB + 1, "document", "image/jpeg"),
        ("image/png", 1, "image", "image/png"),
        ("image/jpg", 1, "image", "image/jpeg"),
        (" IMAGE/PNG ; x=1", 1, "image", "image/png"),
        ("image/webp", 1, "document", "image/webp"),
        ("video/mp4", 16 * MB, "video", "video/mp4"),
        ("video/mp4", 16 * MB + 1, "document", "video/mp4"),
        ("video/3gp", 1, "video", "video/3gpp"),
        ("audio/mpeg", 16 * MB, "audio", "audio/mpeg"),
        ("audio/mpeg", 16 * MB + 1, "document", "audio/mpeg"),
        ("audio/mp3", 1, "audio", "audio/mpeg"),
        ("audio/x-m4a", 1, "audio", "audio/mp4"),
        ("audio/aac", 1, "audio", "audio/aac"),
        ("audio/amr", 1, "audio", "audio/amr"),
        ("audio/ogg; codecs=opus", 1, "audio", "audio/ogg; codecs=opus"),
        ('Audio/OGG;codecs="opus"', 1, "audio", "audio/ogg; codecs=opus"),
        ("audio/opus", 1, "audio", "audio/ogg; codecs=opus"),
        ("audio/ogg", 1, "document", "audio/ogg"),
        ("audio/ogg; codecs=vorbis", 1, "document", "audio/ogg"),
        ("application/pdf", 100 * MB, "document", "application/pdf"),
        (DOCX, 1, "document", DOCX),
        ("text/plain; charset=utf-8", 1, "document", "text/plain"),
        ("text/csv", 1, "document", "text/plain"),
    ],
)
def test_what_a_file_is_sent_as(mime_type: str, size: int, kind: str, name: str) -> None:
    assert (media_kind(mime_type, size), upload_type(mime_type)) == (kind, name)


@pytest.mark.parametrize(
    ("mime_type", "kind", "names"),
    [
        ("image/jpeg", "image", ("image/jpeg",)),
        ("image/jpeg", "document", ("image/jpeg", "application/pdf")),
        ("image/webp", "sticker", ("image/webp",)),
        ("image/webp", "document", ("image/webp", "application/pdf")),
        ("video/3gp", "document", ("video/3gpp", "application/pdf")),
        ("application/pdf", "document", ("application/pdf",)),
        ("text/csv", "document", ("text/plain",)),
    ],
)
def test_what_a_file_is_called_at_the_upload(mime_type: str, kind: str, names: tuple[str, ...]) -> None:
    assert upload_types(mime_type, kind) == names


@pytest.mark.parametrize(
    ("mime_type", "size", "error", "said"),
    [
        ("application/pdf", 100 * MB + 1, TooLong, "The file has 100.0 MB, and WhatsApp takes at most 100 MB."),
        ("application/pdf", 234 * MB, TooLong, "The file has 234.0 MB, and WhatsApp takes at most 100 MB."),
        ("application/pdf", 0, Unsendable, "The file is empty."),
        (
            "image/gif",
            1,
            Unsendable,
            "WhatsApp takes no files of the type image/gif. Send it as a PDF or, a picture, as JPEG.",
        ),
        (
            "application/zip",
            1,
            Unsendable,
            "WhatsApp takes no files of the type application/zip. Send it as a PDF or, a picture, as JPEG.",
        ),
    ],
)
def test_what_whatsapp_does_not_take(mime_type: str, size: int, error: type[Unsendable], said: str) -> None:
    with pytest.raises(error) as refused:
        media_kind(mime_type, size)
    assert str(refused.value) == said
