"""Requests that are sent again with the same `Idempotency-Key`: they get the first answer."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import orjson
import psycopg

from service.errors import Conflict, Invalid
from store.database.locks import lock_transaction

MAX_KEY = 200


@dataclass(frozen=True)
class Key:
    """The key of a request to a use case, and the digest of its body."""

    use_case: str
    text: str
    digest: str

    @classmethod
    def of(cls, use_case: str, text: str | None, body: bytes) -> Key | None:
        """The key that a header holds; None without one.

        Raises:
            Invalid: it is no key.
        """
        if text is None:
            return None
        if not (0 < len(text) <= MAX_KEY and text.isprintable()):
            raise Invalid(f"header 'idempotency-key': allowed: 1 to {MAX_KEY} printable characters")
        return cls(use_case, text, hashlib.sha256(body).hexdigest())

    def first_answer(self, conn: psycopg.Connection[Any]) -> bytes | None:
        """The answer given to this key before. Requests with the same key wait for one another.

        Raises:
            Conflict: it came with another body.
        """
        lock_transaction(conn, "idempotency", f"{self.use_case}:{self.text}")
        row = conn.execute(
            "SELECT response::text, body_digest FROM idempotency WHERE use_case = %s AND key = %s",
            (self.use_case, self.text),
        ).fetchone()
        if row is None:
            return None
        if row[1] != self.digest:
            raise Conflict(
                f"header 'idempotency-key': '{self.text[:80]}' came before with another body; "
                "allowed: a new key"
            )
        return orjson.dumps(orjson.loads(row[0]))

    def keep(self, conn: psycopg.Connection[Any], answer: bytes) -> None:
        """Remember the answer, in the transaction that makes it true."""
        conn.execute(
            "INSERT INTO idempotency (use_case, key, response, body_digest) VALUES (%s, %s, %s, %s)",
            (self.use_case, self.text, answer.decode(), self.digest),
        )
