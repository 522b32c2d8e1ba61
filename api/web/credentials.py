"""Makes API keys and the hashes of passwords, and compares what is presented with what is stored.

Invariants
- A key has 256 random bits and is shown once. Only its digest is kept; a fast one will do, for nobody guesses 256 bits.
- A password is kept as argon2id.
"""

import secrets
from enum import StrEnum
from hashlib import sha256

KEY_PREFIX = "tick_"
SHOWN_KEY_CHARACTERS = 12
MIN_PASSWORD_LENGTH = 12


class Role(StrEnum):
    """What someone may do; `auth.PERMISSIONS` says it exactly."""

    VIEWER = "viewer"  # reads
    AGENT = "agent"  # reads and answers
    ADMIN = "admin"  # does everything


def make_key() -> str:
    """Makes a new API key."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def digest_key(key: str) -> str:
    """Makes what is stored of a key, and looked up when one is presented."""
    return sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def shorten_key(key: str) -> str:
    """Cuts a key to the part by which people recognise it in lists and logs."""
    return key[:SHOWN_KEY_CHARACTERS]


def hash_password(password: str) -> str:
    """Makes the argon2id hash, with its own salt and costs: 50 ms of work, so never on an event loop that serves."""
    from argon2 import PasswordHasher

    return PasswordHasher().hash(password)


def is_password_right(stored: str, password: str) -> bool:
    """Whether `password` is the one that `stored` was made of."""
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return PasswordHasher().verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def rehash_if_outdated(stored: str, password: str) -> str | None:
    """Makes a new hash of a password that was just right, where `stored` was made at costs that are no longer ours."""
    from argon2 import PasswordHasher

    hasher = PasswordHasher()
    return hasher.hash(password) if hasher.check_needs_rehash(stored) else None
