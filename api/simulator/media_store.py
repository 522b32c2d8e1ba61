"""Stores the files at Meta: each is saved under a new id, and found for as long as such an id lives.

Source: Meta's page on media: an upload lives for 30 days, and the id in a webhook for 7.
"""

import asyncio
import os
from collections.abc import Callable
from typing import IO, Final

from api.simulator.chats import Chats
from api.simulator.file_transfer import save_file
from api.simulator.records import Media

UPLOAD_LIVES_SECONDS: Final = 30 * 86_400
INBOUND_LIVES_SECONDS: Final = 7 * 86_400


class MediaStore:
    """Saves and finds the files of both sides; what is known of them is kept with the chats."""

    def __init__(self, chats: Chats, clock: Callable[[], float]) -> None:
        self._chats = chats
        self._clock = clock

    async def save(self, content: IO[bytes], mime_type: str, filename: str, *, inbound: bool) -> Media:
        """Puts a file on the disk, piece by piece, and remembers it. `inbound`: a customer sent it."""
        media_id = str(int.from_bytes(os.urandom(6)) + 10**15)
        saved = await asyncio.to_thread(save_file, content, self._chats.get_file_path(media_id))
        media = Media(media_id, mime_type, filename, saved.size, saved.sha256, self._clock(), inbound)
        self._chats.add_media(media)
        return media

    def find(self, media_id: str) -> Media | None:
        """Returns the file, unless its id has expired."""
        media = self._chats.media.get(media_id)
        if media is None:
            return None
        lives_seconds = INBOUND_LIVES_SECONDS if media.inbound else UPLOAD_LIVES_SECONDS
        return media if self._clock() <= media.at + lives_seconds else None

    def has(self, media_id: str) -> bool:
        """Whether a message may name this file."""
        return self.find(media_id) is not None

    def remove(self, media_id: str) -> None:
        """Deletes a file."""
        self._chats.remove_media(media_id)
