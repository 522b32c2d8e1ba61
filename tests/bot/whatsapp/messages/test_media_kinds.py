"""A file is sent as the kind of media that Meta's table of types and sizes has for it."""

import pytest

from bot.whatsapp.messages.limits import TooLong, Unsendable
from bot.whatsapp.messages.media_kinds import choose_media_kind
from bot.whatsapp.messages.media_types import normalize_mime_type
from tests.bot.whatsapp.messages.file_heads import build_webp

MB = 1024 * 1024
PICTURE = "Send it as JPEG or PNG."
SOUND = "Send it as MP3, M4A, AAC or AMR, or as OGG with Opus inside."
FILM = "Send it as MP4 or 3GP."
DOCUMENT = "Send it as a PDF, a text file, or a Word, Excel or PowerPoint file."
OPUS_ALONE = "WhatsApp takes OGG with Opus inside and no other"
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
            "The document has 100.1 MB, and WhatsApp takes at most 100 MB of one.",
        ),
        ("application/pdf", 234 * MB, TooLong, "The document has 234.0 MB, and WhatsApp takes at most 100 MB of one."),
        ("image/jpeg", 5 * MB + 1, TooLong, "The image has 5.1 MB, and WhatsApp takes at most 5 MB of one."),
        ("image/jpeg", 6 * MB, TooLong, "The image has 6.0 MB, and WhatsApp takes at most 5 MB of one."),
        ("video/mp4", 17 * MB, TooLong, "The video has 17.0 MB, and WhatsApp takes at most 16 MB of one."),
        ("audio/mpeg", 17 * MB, TooLong, "The audio has 17.0 MB, and WhatsApp takes at most 16 MB of one."),
        ("application/pdf", 0, Unsendable, "The file is empty."),
        ("image/gif", 1, Unsendable, f"WhatsApp takes no files of the type image/gif. {PICTURE}"),
        ("image/webp", 1, Unsendable, f"WhatsApp takes no files of the type image/webp. {PICTURE}"),
        ("image/heic", 1, Unsendable, f"WhatsApp takes no files of the type image/heic. {PICTURE}"),
        ("audio/wav", 1, Unsendable, f"WhatsApp takes no files of the type audio/wav. {SOUND}"),
        ("audio/webm; codecs=opus", 1, Unsendable, f"WhatsApp takes no files of the type audio/webm. {SOUND}"),
        ("audio/ogg; codecs=vorbis", 1, Unsendable, f"{OPUS_ALONE}, and this one is vorbis. {SOUND}"),
        ("audio/ogg; codecs=opus,theora", 1, Unsendable, f"{OPUS_ALONE}, and this one is opus and theora. {SOUND}"),
        ("audio/ogg", 1, Unsendable, f"{OPUS_ALONE}, and this one is not. {SOUND}"),
        ("video/quicktime", 1, Unsendable, f"WhatsApp takes no files of the type video/quicktime. {FILM}"),
        ("video/webm", 1, Unsendable, f"WhatsApp takes no files of the type video/webm. {FILM}"),
        ("application/zip", 1, Unsendable, f"WhatsApp takes no files of the type application/zip. {DOCUMENT}"),
    ],
)
def test_what_whatsapp_does_not_take(mime_type: str, size: int, error: type[Unsendable], sentence: str) -> None:
    with pytest.raises(error) as refused:
        choose_media_kind(mime_type, size)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("shape", "flags", "kilobytes", "kind"),
    [
        ((512, 512), 0, 100, "sticker"), ((512, 512), 2, 500, "sticker"), ((512, 512), 0, 101, None),
        ((512, 512), 2, 501, None), ((512, 511), 0, 50, None), ((1600, 900), 0, 50, None),
    ],
)  # fmt: skip
def test_a_webp_picture_is_a_sticker_or_nothing(
    shape: tuple[int, int], flags: int, kilobytes: int, kind: str | None
) -> None:
    head = build_webp(*shape, flags=flags)
    if kind:
        assert choose_media_kind("image/webp", kilobytes * 1024, head) == kind
    else:
        with pytest.raises(Unsendable, match="JPEG or PNG"):
            choose_media_kind("image/webp", kilobytes * 1024, head)
