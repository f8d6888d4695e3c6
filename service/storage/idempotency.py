"""How a repeated request with the same `Idempotency-Key` is answered: as the first was, by `answer_once`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
import psycopg

from service.errors import Conflict, Invalid
from store.database.locks import lock_transaction

MAX_KEY = 200
"""Characters of a key."""

T = TypeVar("T")


@dataclass(frozen=True)
class IdempotencyKey:
    """The key of a request to a use case, and the SHA-256 of its body."""

    use_case: str
    key: str
    body_digest: str

    @classmethod
    def from_header(cls, use_case: str, value: str | None, body: bytes) -> IdempotencyKey | None:
        """The key that the header holds; None for a request without the header.

        Raises:
            Invalid: the value is empty, too long, or has characters that cannot be printed.
        """
        if value is None:
            return None
        if not (0 < len(value) <= MAX_KEY and value.isprintable()):
            raise Invalid(f"header 'idempotency-key': allowed: 1 to {MAX_KEY} printable characters")
        return cls(use_case, value, hashlib.sha256(body).hexdigest())


def answer_once(
    conn: psycopg.Connection[Any],
    key: IdempotencyKey | None,
    process: Callable[[], tuple[bytes, T]],
    *,
    says: str,
) -> tuple[bytes, T | None]:
    """The response body of a request, which is processed unless its key has an answer already.

    All is one transaction: what `process` stores and its answer are kept together, or neither is.
    Requests with the same key wait for one another.

    Args:
        key: None for a request that came without one, and is always processed.
        process: does what is asked on `conn`; returns the response body, which is JSON, and a result
            for the caller to use after the commit.
        says: a key of the JSON that each answer to what is asked has, and none to anything else.

    Returns:
        The response body, and the result of `process`; None for the result of a repeated request.

    Raises:
        Conflict: the key came before with another body, or for something else.
    """
    with conn.transaction():
        if key is None:
            return process()
        first_answer = _find_answer(conn, key, says)
        if first_answer is not None:
            return first_answer, None
        answer, result = process()
        _keep_answer(conn, key, answer)
        return answer, result


def _find_answer(conn: psycopg.Connection[Any], key: IdempotencyKey, says: str) -> bytes | None:
    """The answer kept for a key, once no other transaction works on it."""
    lock_transaction(conn, "idempotency", f"{key.use_case}:{key.key}")
    row = conn.execute(
        "SELECT response::text, body_digest FROM idempotency WHERE use_case = %s AND key = %s",
        (key.use_case, key.key),
    ).fetchone()
    if row is None:
        return None
    answer, body_digest = orjson.loads(row[0]), row[1]
    if body_digest != key.body_digest or says not in answer:
        before = "with another body" if body_digest != key.body_digest else "for another call"
        raise Conflict(f"header 'idempotency-key': '{key.key[:80]}' came before {before}; allowed: a new key")
    return orjson.dumps(answer)


def _keep_answer(conn: psycopg.Connection[Any], key: IdempotencyKey, answer: bytes) -> None:
    conn.execute(
        "INSERT INTO idempotency (use_case, key, response, body_digest) VALUES (%s, %s, %s, %s)",
        (key.use_case, key.key, answer.decode(), key.body_digest),
    )
