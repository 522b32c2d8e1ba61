"""The beginnings of files of each format, as programs and phones write them."""

import struct


def build_ogg_page(packet: bytes, *, begins: bool = True, serial: int = 1) -> bytes:
    """Builds an Ogg page that holds one packet."""
    segments = bytes([255] * (len(packet) // 255) + [len(packet) % 255])
    flags = 2 if begins else 0
    return b"OggS\0" + struct.pack("<BqIIIB", flags, 0, serial, 0, 0, len(segments)) + segments + packet


def build_ogg(*packets: bytes) -> bytes:
    """Builds the beginning of an Ogg file, whose streams begin with these packets."""
    pages = [build_ogg_page(packet, serial=at) for at, packet in enumerate(packets)]
    return b"".join([*pages, build_ogg_page(b"comments and sound " * 400, begins=False)])


OPUS_HEAD = b"OpusHead\x01\x01\x38\x01\x80\xbb\x00\x00\x00\x00\x00"
OPUS_VOICE = build_ogg(OPUS_HEAD)
VORBIS = build_ogg(b"\x01vorbis" + b"\0" * 23)
FLAC = build_ogg(b"\x7fFLAC\x01\0" + b"\0" * 40)
SPEEX = build_ogg(b"Speex   1.2" + b"\0" * 60)
FILM = build_ogg(b"\x80theora" + b"\0" * 35, OPUS_HEAD)
DESCRIBED_OPUS = build_ogg(b"fishead\0" + b"\0" * 56, OPUS_HEAD)


def build_webp(width: int, height: int, form: bytes = b"VP8X", flags: int = 0) -> bytes:
    """Builds the beginning of a WebP picture of this size; `form` is that of its first chunk."""
    if form == b"VP8X":
        chunk = bytes([flags, 0, 0, 0]) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    elif form == b"VP8L":
        chunk = b"\x2f" + (width - 1 | height - 1 << 14).to_bytes(4, "little") + b"\0" * 8
    else:
        chunk = b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height)
    return b"RIFF\0\0\0\0WEBP" + form + struct.pack("<I", len(chunk)) + chunk + b"\0" * 100
