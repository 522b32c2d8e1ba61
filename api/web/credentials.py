"""API keys and passwords: how they are made, and what is stored instead of them.

Invariants: a key has 256 random bits, is shown once, and only its digest is kept (a fast one will do: nobody guesses
256 bits); a password is kept as argon2id.
"""

import secrets
from enum import StrEnum
from hashlib import sha256

KEY_PREFIX = "tick_"
SHOWN_PREFIX_LENGTH = 12
LEAST_PASSWORD_LENGTH = 12


class Role(StrEnum):
    """What someone may do: read; read and answer; everything."""

    VIEWER = "viewer"
    AGENT = "agent"
    ADMIN = "admin"


def new_key() -> str:
    """A new API key."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def key_digest(key: str) -> str:
    """What is stored of a key, and looked up when one is presented."""
    return sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def key_prefix(key: str) -> str:
    """The part of a key by which people recognise it in lists and logs."""
    return key[:SHOWN_PREFIX_LENGTH]


def hash_password(password: str) -> str:
    """The argon2id hash, with its own salt and costs; about 50 ms of work, so never on an event loop that serves."""
    from argon2 import PasswordHasher

    return PasswordHasher().hash(password)


def password_matches(stored: str, password: str) -> bool:
    """Whether `password` is the one that `stored` was made of."""
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return PasswordHasher().verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def renewed_hash(stored: str, password: str) -> str | None:
    """A new hash of the password that was just right, where `stored` was made at costs that are no longer ours."""
    from argon2 import PasswordHasher

    hasher = PasswordHasher()
    return hasher.hash(password) if hasher.check_needs_rehash(stored) else None
