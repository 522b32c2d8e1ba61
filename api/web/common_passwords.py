"""Knows the passwords that are tried first: a short list of our own, and what is made of one without thinking.

It takes no list of a million: what is refused here is what a guesser tries within the hundred times that they get.
"""

import re
from itertools import pairwise
from pathlib import Path

MAX_PATTERN_CHARACTERS = 6  # "abc123abc123" is no longer than its pattern
MIN_DISTINCT_CHARACTERS = 5
ROWS = ("abcdefghijklmnopqrstuvwxyz", "01234567890123456789", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop")
MAX_STEPS_PART = 0.75  # of its characters, that follow one another as in a row
_LIST = Path(__file__).with_name("common_passwords.txt")
_LOOKALIKES = tuple(str.maketrans("@430$5!7" + "1", "aaeossit" + one) for one in "il")
_AROUND = re.compile(r"^[\W\d_]+|[\W\d_]+$")
_NO_LETTERS = re.compile(r"[\W\d_]+")


def is_common(password: str) -> bool:
    """Whether this password is among those that are tried first, whatever stands around it."""
    plain = password.casefold()
    if len(set(plain)) < MIN_DISTINCT_CHARACTERS or _is_repetition(plain) or _is_row(plain):
        return True
    known = {line for line in _LIST.read_text("utf-8").splitlines() if not line.startswith("#")}
    read = (form.translate(table) for form in (plain, _AROUND.sub("", plain)) for table in _LOOKALIKES)
    return any(_NO_LETTERS.sub("", form) in known for form in (plain, *read))


def _is_repetition(text: str) -> bool:
    sizes = range(1, MAX_PATTERN_CHARACTERS + 1)
    return any(text == (text[:size] * len(text))[: len(text)] for size in sizes if 2 * size <= len(text))


def _is_row(text: str) -> bool:
    """Whether most of its characters are the neighbours of those before them, on a keyboard or in the alphabet."""
    pairs = [first + second for first, second in pairwise(text)]
    steps = sum(any(pair in row or pair in row[::-1] for row in ROWS) for pair in pairs)
    return bool(pairs) and steps >= MAX_STEPS_PART * len(pairs)
