"""Compares what a person typed with the words that the bot knows.

The whole message counts, never a part of it: "cancel" is a command, "please don't cancel my order" is what they have to
say. Case, accents, width, tatweel, invisible characters and the punctuation around a word make no difference.
"""

from __future__ import annotations

import string
from functools import lru_cache
from unicodedata import category, normalize

MAX_WORD_CHARACTERS = 64  # a longer message is never a command, so it is not normalized
TATWEEL = "\u0640"
SKIN_TONES = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
LOOKS_EMPTY = "\u115f\u1160\u2800\u3164\uffa0"  # letters and symbols by name that draw nothing
# Categories of Unicode: controls, formats, surrogates, marks.
DRAWS_NOTHING = frozenset(("Cc", "Cf", "Cs", "Mn", "Me"))
DROPPED = frozenset(("Cc", "Cf", "Mn", "Me"))
IGNORED = frozenset(TATWEEL + SKIN_TONES)
BEFORE = "¡¿([{\"'*_~`«“‘„ "
AFTER = string.punctuation + " "

NUMBER_WORDS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
}  # fmt: skip


def normalize_word(text: str) -> str:
    """Returns the form in which words are compared; "" for a message of punctuation alone. Idempotent."""
    if text.isascii():
        return " ".join(text.casefold().split()).strip(BEFORE).rstrip(AFTER)
    folded = normalize("NFKD", normalize("NFKC", text).casefold())
    kept = "".join(c for c in folded if c.isspace() or not (category(c) in DROPPED or c in IGNORED))
    word = " ".join(kept.split()).lstrip(BEFORE)
    end = len(word)
    while end and (word[end - 1] in AFTER or category(word[end - 1])[0] == "P"):
        end -= 1
    return word[:end]


@lru_cache(maxsize=512)
def normalize_label(label: str) -> str:
    """Normalizes one of our own labels, which are few and come again each turn, so they are cached; what customers
    write is not."""
    return normalize_word(label)


def read_number(word: str) -> int:
    """Returns the number that a normalized word stands for (in any script's digits, or one to ten in words), or 0."""
    if len(word) <= 2 and word.isdecimal():
        return int(word)
    return NUMBER_WORDS.get(word, 0)


def is_number(word: str) -> bool:
    """Whether a normalized word is a number of at most two digits, 0 included."""
    return (len(word) <= 2 and word.isdecimal()) or word in NUMBER_WORDS


def is_blank(text: str) -> bool:
    """Whether a person sees nothing at all in the text."""
    if text.isascii():
        return not text.strip()
    return all(c.isspace() or category(c) in DRAWS_NOTHING or c in LOOKS_EMPTY for c in text)


_GREETINGS = """
hi, hello, hey, hiya, hi there, hello there, hey there, good morning, good afternoon, good evening, good day, greetings,
start, hola, buenos días, buenas, buenas tardes, bonjour, bonsoir, salut, hallo, guten tag, moin, servus, ciao,
buongiorno, buonasera, olá, oi, bom dia, boa tarde, merhaba, selam, namaste, नमस्ते, salam, salaam, assalamu alaikum,
سلام, مرحبا, السلام عليكم, שלום, привет, здравствуйте, 你好, 您好, こんにちは, 안녕하세요, 👋, 🙂, 😊, [opened the chat]
"""
_THANKS = """
thanks, thank you, thanks a lot, thank you very much, thank you so much, many thanks, ok thanks, ok thank you, thx, ty,
gracias, muchas gracias, merci, merci beaucoup, danke, vielen dank, danke schön, grazie, grazie mille, obrigado,
obrigada, teşekkürler, teşekkür ederim, shukran, شكرا, شكرا لك, धन्यवाद, תודה, спасибо, 谢谢, ありがとう, 감사합니다, 🙏
"""
GREETINGS = frozenset(normalize_word(word) for word in _GREETINGS.split(","))
THANKS = frozenset(normalize_word(word) for word in _THANKS.split(","))
