"""Makes what a stranger typed safe to store and to show, and changes nothing else about it.

Invariants
- A string that leaves here holds no NUL, no control character (but newline and tab), no escape sequence of a terminal
  and no lone surrogate, and is never longer than its bound. Bounds count characters (code points).
- Markup, right-to-left marks and emoji stay: they are the text, and the page that shows it escapes them.
- Only file names, which people act on, lose their invisible characters.
"""

import hashlib
import json
import re
from typing import Final

MAX_TEXT_CHARACTERS = 65_536
_MAX_PAYLOAD_CHARACTERS = 4 * MAX_TEXT_CHARACTERS  # the longest text, with all that may stand around it
_MAX_BRACKETS_UNCHECKED = 64  # so few can't be nested deeper than a database or a parser follows
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_MARK = "… [cut]"

# What json.dumps writes when a string in it needs cleaning; it may also hit a typed backslash, which costs only time.
_NEEDS_CLEANING = re.compile(r"[\x7f-\x9f\ud800-\udfff]|\\(?:u00|[bfr])")

# Sequences that drive a terminal (CSI, OSC, then any two-byte one) go as a whole: without its ESC, "[31m" would be
# left as litter.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]")
_LINE_BREAKS = re.compile(r"\r\n|[\r\x0b\x0c\x85]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_DIRTY = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

# Zero-width characters and direction marks: "photo\u202Egnp.exe" reads as "photoexe.png".
_INVISIBLE = re.compile("[\u00ad\u034f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")
_DIRECTION_MARKS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_NOT_IN_FILE_NAMES = re.compile(r'[<>:"|?*\n\t]')
_WINDOWS_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
_MAX_FILE_NAME_CHARACTERS = 120
_PLAIN_ID = re.compile(r"[!-}]{1,200}")
_MIME_TYPE = re.compile(r'[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*(; ?[a-z0-9_.-]+=[a-z0-9_.+"-]+){0,3}')
_SHA256 = re.compile(r"[A-Za-z0-9+/=_-]{1,100}")
MEDIA_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")  # Meta's id of a file that can be part of a Graph API path


def clean(text: str, max_characters: int = MAX_TEXT_CHARACTERS) -> str:
    """Returns the same text without what could hurt; one that is too long is cut, with a mark at its end."""
    if _DIRTY.search(text):
        text = _LINE_BREAKS.sub("\n", text)
        text = _CONTROLS.sub("", _ESCAPES.sub("", text))
        text = _SURROGATES.sub("\ufffd", text)
    if len(text) > max_characters:
        text = text[: max_characters - len(_MARK)] + _MARK
    return text


def clean_line(text: str, max_characters: int) -> str:
    """Returns a name, a title or an address on one line, without runs of spaces or marks that turn the text around."""
    return clean(" ".join(_DIRECTION_MARKS.sub("", clean(text)).split()), max_characters)


def to_storable_id(text: str) -> str:
    """Returns an id of Meta's as any column takes it: itself as a rule, the hash of one that is too long or strange.

    The same id gives the same text wherever it comes from, so a status still finds its message.
    """
    if not text or _PLAIN_ID.fullmatch(text):
        return text
    return "~" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def clean_file_name(text: str) -> str:
    """Returns a name to show beside a file; files are stored under names of our own."""
    name = re.split(r"[/\\]", _INVISIBLE.sub("", clean(text)))[-1]
    name = " ".join(_NOT_IN_FILE_NAMES.sub("_", name).split()).strip(". ")
    if _WINDOWS_DEVICE.fullmatch(name):
        name = "_" + name
    stem, dot, ending = name.rpartition(".")
    if len(name) > _MAX_FILE_NAME_CHARACTERS and dot and len(ending) <= 10:
        return stem[: _MAX_FILE_NAME_CHARACTERS - len(ending) - 2] + "…." + ending
    return name if len(name) <= _MAX_FILE_NAME_CHARACTERS else name[: _MAX_FILE_NAME_CHARACTERS - 1] + "…"


def clean_mime_type(text: str) -> str:
    """Returns the type as it was given when it looks like one, else application/octet-stream.

    It is a claim of the sender's, and never decides how a file is served.
    """
    lowered = text[:200].strip().lower()
    return lowered if len(lowered) <= 100 and _MIME_TYPE.fullmatch(lowered) else "application/octet-stream"


def clean_sha256(text: str) -> str:
    """Returns a hash as Meta writes one, in base64 or hex; "" for anything else."""
    return text if _SHA256.fullmatch(text) else ""


def clean_json(value: object, depth: int = 32) -> object:
    """Returns a JSON value with clean strings, fit to be stored: cut where too long, and empty below `depth` levels."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        pairs = list(value.items())[:200] if depth else []
        return {clean(key, 200): clean_json(each, depth - 1) for key, each in pairs}
    if isinstance(value, list):
        return [clean_json(each, depth - 1) for each in value[:200]] if depth else []
    return value


def encode_payload(value: object) -> str:
    """Encodes a JSON value as text that any database takes.

    Most values need no cleaning, and one look at the whole text is quicker than one at each of its parts.
    """
    try:
        text = _encode(value)
        is_flat = len(text) <= MAX_TEXT_CHARACTERS and text.count("{") + text.count("[") < _MAX_BRACKETS_UNCHECKED
        if is_flat and not _NEEDS_CLEANING.search(text):
            return text
    except RecursionError:
        pass
    text = _encode(clean_json(value))
    return text if len(text) <= _MAX_PAYLOAD_CHARACTERS else _encode(clean(text))
