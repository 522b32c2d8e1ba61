"""Makes an item's key, by which a redelivery is known: a text of at most 200 visible ASCII characters.

Invariants
- A key has what all deliveries of one thing have in common: of a message or an echo the wamid; of a status the wamid,
  the status and its time; of a handover the customer, its type and its time; of anything else the whole body's hash and
  the place in it.
- Two different things never have the same key. Parts that are too long, not ASCII or have the separator in them are
  hashed together.

Source: Meta, webhooks/overview (a webhook that was not answered 200 comes again for up to seven days).
"""

import hashlib
import json
import re

MESSAGE, STATUS, HANDOVER, BODY = "m", "s", "h", "b"  # how keys begin
_PLAIN_KEY = re.compile(r"[!-~]{1,200}")


def make_item_key(prefix: str, *parts: object) -> str:
    """Makes the key of what has an id of its own; a part that is neither a text nor a number counts as ""."""
    texts = [part if isinstance(part, str) else str(part) if isinstance(part, int) else "" for part in parts]
    key = ":".join((prefix, *texts))
    if _PLAIN_KEY.fullmatch(key) and key.count(":") == len(parts):
        return key
    exact = json.dumps(texts)
    # "~" is in no phone_number_id, so a hash never looks like a plain key.
    return f"{prefix}:~{hashlib.sha256(exact.encode()).hexdigest()}"


def make_body_key(body_hash: str, path: str) -> str:
    """Makes the key of what has no id: the hash of the body in hex, and the path to it, such as "entry.0.changes.1"."""
    return f"{BODY}:{body_hash}:{path}"
