"""Fills a MariaDB as the original system did: its tables, by its own schema, with all that people write into such.

`python -m tests.support.original_system mysql://user:password@host:3306/database` fills one for a look by hand.
"""

import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pymysql

from storage.sql.mysql_url import parse_mysql_url

TICKETS = """
    CREATE TABLE tickets (
        id INT AUTO_INCREMENT PRIMARY KEY,
        name VARCHAR(30),
        email VARCHAR(100) NOT NULL,
        mobile VARCHAR(15),
        description TEXT,
        issue_type VARCHAR(50),
        issue_type_other VARCHAR(100),
        issue_title VARCHAR(150),
        attachment_name VARCHAR(255),
        attachment_type VARCHAR(50),
        attachment LONGBLOB,
        status ENUM('new', 'in_progress', 'closed') DEFAULT 'new',
        whatsapp_enabled BOOLEAN DEFAULT FALSE,
        whatsapp_notifications BOOLEAN DEFAULT TRUE,
        created_at DATETIME,
        updated_at DATETIME
    ) CHARACTER SET utf8mb4
"""
REPLIES = """
    CREATE TABLE replies (
        id INT AUTO_INCREMENT PRIMARY KEY,
        ticket_id INT NOT NULL,
        author VARCHAR(50),
        message TEXT,
        is_read BOOLEAN DEFAULT FALSE,
        created_at DATETIME
    ) CHARACTER SET utf8mb4
"""
HIGHEST_NUMBER = 100_057
TEXTS = (
    "It does not print.", "Grüße 👍🏽 und اهلا وسهلا", "👩‍👩‍👧‍👦 family\nof two lines", "O'Neil said \"100 %\" \\ ?",
    "x" * 60_000, "", " leading and trailing ",
)  # fmt: skip
TYPES = ("hardware", "software", "Paiement & Facturation", "", None)
MOBILES = (
    "+15550100001", "5550100001", "+1 555 010 0002", "(555) 010-0003", "", None, "call me", "+5541988887777",
    "+554188887777", "15550100004",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class OriginalSystem:
    """The original system's tables in one database."""

    connection: "pymysql.Connection[Any]"

    @classmethod
    def open(cls, url: str) -> "OriginalSystem":
        address = parse_mysql_url(url)
        return cls(pymysql.connect(**address._asdict(), charset="utf8mb4", autocommit=True))

    def execute(self, sql: str, values: object = None) -> Sequence[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(sql, values)
            rows: Sequence[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def create(self, tickets: str = TICKETS, replies: str = REPLIES) -> None:
        """Makes the tables."""
        for statement in (tickets, replies):
            if statement:
                self.execute(statement)

    def drop(self) -> None:
        """Removes the tables, and closes the connection."""
        self.execute("DROP TABLE IF EXISTS tickets, replies")
        self.connection.close()

    def add(self, table: str, *rows: Mapping[str, Any]) -> None:
        """Inserts rows that have the same columns."""
        names = ", ".join(f"`{name}`" for name in rows[0])
        marks = ", ".join(["%s"] * len(rows[0]))
        with self.connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", [list(row.values()) for row in rows])  # noqa: S608

    def checksums(self) -> Sequence[tuple[Any, ...]]:
        """The checksums of both tables, which any change of a row changes."""
        return self.execute("CHECKSUM TABLE tickets, replies")


def make_ticket(number: int, **changed: Any) -> dict[str, Any]:
    """Makes the row of a ticket, which differs with its number."""
    row = {
        "id": number,
        "name": None if number % 17 == 0 else f"Ana {number} 👋",
        "email": f"ana{number}@example.com",
        "mobile": MOBILES[number % len(MOBILES)],
        "description": None if number % 23 == 0 else TEXTS[number % len(TEXTS)],
        "issue_type": TYPES[number % len(TYPES)],
        "issue_type_other": None if number % 3 else "Something else 🤷",
        "issue_title": None if number % 5 == 0 else f"Title {number}",
        "attachment_name": None,
        "attachment_type": None,
        "attachment": None,
        "status": ("new", "in_progress", "closed")[number % 3],
        "whatsapp_enabled": number % 4 == 0,
        "whatsapp_notifications": number % 6 != 0,
        "created_at": f"2024-{1 + number % 12:02}-{1 + number % 28:02} {number % 24:02}:{number % 60:02}:07",
        "updated_at": f"2025-{1 + number % 12:02}-{1 + number % 28:02} 12:00:00",
    }
    return row | changed


def make_bytes(number: int, size: int) -> bytes:
    """Makes so many bytes that no other number gives."""
    seed = hashlib.sha256(str(number).encode()).digest()
    return (seed * (size // len(seed) + 1))[:size]


def list_tickets(count: int, files: Mapping[int, int]) -> Iterator[dict[str, Any]]:
    """Yields so many rows; `files`: the size of the file of those that have one."""
    for number in range(1, count + 1):
        file: dict[str, Any] = {}
        if (size := files.get(number)) is not None:
            name, kind = ("photo 👍.png", "image/png") if number % 2 else ("../../report.pdf", "application/pdf")
            file = {"attachment": make_bytes(number, size), "attachment_name": name, "attachment_type": kind}
        yield make_ticket(HIGHEST_NUMBER if number == count else number, **file)


def list_replies(count: int, ticket_count: int) -> Iterator[dict[str, Any]]:
    """Yields so many replies to the first tickets."""
    for number in range(1, count + 1):
        yield {
            "id": number,
            "ticket_id": number % (ticket_count - 1) + 1,
            "author": (None, "user", "agent", "Bo Agent", f"Ana {number % (ticket_count - 1) + 1} 👋")[number % 5],
            "message": TEXTS[number % 4],
            "created_at": f"2024-12-{1 + number % 28:02} 08:{number % 60:02}:00",
        }


def fill(url: str, *, tickets: int, replies: int, files: Mapping[int, int]) -> OriginalSystem:
    """Makes both tables with so many rows."""
    system = OriginalSystem.open(url)
    system.create()
    rows = list(list_tickets(tickets, files))
    for start in range(0, len(rows), 200):
        plain = [row for row in rows[start : start + 200] if row["attachment"] is None]
        if plain:
            system.add("tickets", *plain)
    for row in rows:
        if row["attachment"] is not None:
            system.add("tickets", row)
    answers = list(list_replies(replies, tickets))
    for start in range(0, len(answers), 500):
        system.add("replies", *answers[start : start + 500])
    return system


if __name__ == "__main__":
    fill(sys.argv[1], tickets=2000, replies=3000, files={7: 0, 8: 300_000, 9: 40_000_000, 1500: 300_000})
