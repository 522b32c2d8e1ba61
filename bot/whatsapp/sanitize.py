"""Make what a stranger typed safe to store and to show, and change nothing else about it.

Invariant: a string that leaves here holds no NUL, control character (but newline and tab), escape sequence of a
terminal or lone surrogate, and is never longer than its cap. Markup, right-to-left marks and emoji stay: they are the
text, and showing them safely is the business of the page that shows them. Only names of files, which people act on,
lose their invisible characters.
"""

import hashlib
import json
import re

MAX_TEXT_CHARACTERS = 65_536
_PAYLOAD_CAP = 4 * MAX_TEXT_CHARACTERS  # a text at its cap with all that may stand around it
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_MARK = "… [cut]"

# What json.dumps writes when a string in it needs cleaning; it may also hit a typed backslash, which costs only time.
_NEEDS_CLEANING = re.compile(r"[\x7f-\x9f\ud800-\udfff]|\\(?:u00|[bfr])")

# Sequences that drive a terminal (CSI, OSC, then any two-byte one) go as a whole: without its ESC, "[31m" would be
# left as litter.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_DIRTY = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

# Zero-width characters and direction marks: "photo\u202Egnp.exe" reads as "photoexe.png".
_INVISIBLE = re.compile("[\u00ad\u034f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
_NOT_IN_FILE_NAMES = re.compile(r'[<>:"|?*\n\t]')
_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
_FILE_NAME_CAP = 120
_PLAIN_ID = re.compile(r"[!-}]{1,200}")
_MIME_TYPE = re.compile(r'[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*(; ?[a-z0-9_.-]+=[a-z0-9_.+"-]+){0,3}')


def clean(text: str, cap: int = MAX_TEXT_CHARACTERS) -> str:
    """The same text without what could hurt; cut, with a mark, when it is longer than the cap."""
    if _DIRTY.search(text):
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        text = _CONTROLS.sub("", _ESCAPES.sub("", text))
        text = _SURROGATES.sub("\ufffd", text)
    if len(text) > cap:
        text = text[: cap - len(_MARK)] + _MARK
    return text


def clean_line(text: str, cap: int) -> str:
    """A name, a title, an address: clean, without line breaks or runs of spaces, and without marks that would turn what
    stands behind it around."""
    return clean(" ".join(_TURNING.sub("", clean(text)).split()), cap)


def to_storable_id(text: str) -> str:
    """An id of Meta's that any column takes: itself as a rule, the hash of one that is too long or strange. The same id
    is the same text wherever it comes from, so a status still finds its message."""
    if not text or _PLAIN_ID.fullmatch(text):
        return text
    return "~" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def clean_file_name(text: str) -> str:
    """A name to show beside a file; files are stored under names of our own."""
    name = re.split(r"[/\\]", _INVISIBLE.sub("", clean(text)))[-1]
    name = " ".join(_NOT_IN_FILE_NAMES.sub("_", name).split()).strip(". ")
    if _DEVICE.fullmatch(name):
        name = "_" + name
    stem, dot, ending = name.rpartition(".")
    if len(name) > _FILE_NAME_CAP and dot and len(ending) <= 10:
        return stem[: _FILE_NAME_CAP - len(ending) - 2] + "…." + ending
    return name if len(name) <= _FILE_NAME_CAP else name[: _FILE_NAME_CAP - 1] + "…"


def clean_mime_type(text: str) -> str:
    """The type as it was given when it looks like one; never trusted to decide how a file is served."""
    lowered = text[:200].strip().lower()
    return lowered if len(lowered) <= 100 and _MIME_TYPE.fullmatch(lowered) else "application/octet-stream"


def clean_json(value: object, depth: int = 32) -> object:
    """A JSON value with clean strings, fit to be stored: cut where it is too long, empty where it is too deep."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        pairs = list(value.items())[:200] if depth else []
        return {clean(key, 200): clean_json(held, depth - 1) for key, held in pairs}
    if isinstance(value, list):
        return [clean_json(held, depth - 1) for held in value[:200]] if depth else []
    return value


def encode_payload(value: object) -> str:
    """JSON text that any database takes. Most needs no cleaning: one look at the text is quicker than at its parts."""
    try:
        text = _encode(value)
        if (
            len(text) <= MAX_TEXT_CHARACTERS
            and text.count("{") + text.count("[") < 64
            and not _NEEDS_CLEANING.search(text)
        ):
            return text
    except RecursionError:
        pass
    text = _encode(clean_json(value))
    return text if len(text) <= _PAYLOAD_CAP else _encode(clean(text))
