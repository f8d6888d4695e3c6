"""A storage that is a bucket, or a part of one, at Amazon or any server that speaks S3.

By boto3 and not by Arrow's own client: MLflow needs boto3 for the same bucket anyway, servers have no Arrow,
a stream of Arrow's that fails half-way may leave half an object, and it has no put that does not replace.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

from configs.addresses.storage_url import bucket_of
from store.errors import ObjectExists, ObjectMissing
from store.objects.contract import StoredObject, checked_key
from store.objects.folders import draft_of
from store.objects.s3_access import S3Access
from store.objects.s3_faults import fault_of, is_conflict, is_missing

PART = 64 * 2**20
"""Bytes from which on an object goes in parts; until the last is there, nobody sees any."""
_IN_MEMORY = 16 * 2**20
_PIECE = 2**20


class S3Storage:
    """Objects of a bucket below a prefix."""

    is_shared = True

    def __init__(self, url: str, access: S3Access) -> None:
        """
        Raises:
            StorageRefused: boto3 is not installed.
        """
        self.url = url
        self.access = access
        self._bucket, self._prefix = bucket_of(url)
        self._client = access.client()

    def for_a_look(self) -> S3Storage:
        """The same by a client that waits for less, and asks once more at most."""
        return S3Storage(self.url, replace(self.access, patient=False))

    def put(self, key: str, content: bytes | Path, *, replace: bool = True) -> None:
        """Write an object whole or not at all."""
        target = self._target(key)
        condition = {} if replace else {"IfNoneMatch": "*"}
        with self._told(key):
            if isinstance(content, bytes):
                self._client.put_object(**target, Body=content, **condition)
                return
            with content.open("rb") as file:
                if content.stat().st_size < PART:
                    self._client.put_object(**target, Body=file, **condition)
                else:
                    self._client.upload_fileobj(file, **target, ExtraArgs=condition, Config=_in_parts())

    def get(self, key: str) -> bytes:
        """All of an object."""
        with self._told(key):
            return bytes(self._client.get_object(**self._target(key))["Body"].read())

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """A copy of an object that is gone at the end."""
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as copy:
            file = cast(BinaryIO, copy)
            self._read_into(key, file)
            file.seek(0)
            yield file

    def fetch(self, key: str, target: Path) -> None:
        """Download an object."""
        with draft_of(target) as draft:
            self._read_into(key, draft)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Objects below a prefix; what consoles and Arrow put there for empty folders is none."""
        below = self._name(checked_key(prefix)) + "/" if prefix else f"{self._prefix}/".lstrip("/")
        skipped = len(f"{self._prefix}/".lstrip("/"))
        with self._told(prefix):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=below):
                for one in page.get("Contents", ()):
                    if not one["Key"].endswith("/"):
                        yield StoredObject(one["Key"][skipped:], one["Size"], one["LastModified"])

    def delete(self, key: str) -> None:
        """Delete an object."""
        with self._told(key):
            self._client.delete_object(**self._target(key))

    def filesystem(self) -> tuple[Any, str]:
        """Arrow's own client of the same bucket."""
        from pyarrow.fs import S3FileSystem

        return S3FileSystem(**self.access.arrow()), self.url.removeprefix("s3://")

    def delta_options(self) -> dict[str, str]:
        """How `deltalake` reaches the same bucket."""
        return self.access.delta()

    def _read_into(self, key: str, file: BinaryIO) -> None:
        with self._told(key):
            body = self._client.get_object(**self._target(key))["Body"]
            shutil.copyfileobj(body, file, _PIECE)

    def _target(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._name(checked_key(key))}

    def _name(self, key: str) -> str:
        return f"{self._prefix}/{key}" if self._prefix else key

    @contextmanager
    def _told(self, key: str) -> Iterator[None]:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (Boto3Error, BotoCoreError, ClientError) as error:
            if is_missing(error):
                raise ObjectMissing(self.url, key) from error
            if is_conflict(error):
                raise ObjectExists(self.url, key) from error
            raise fault_of(self.url, self.access.place, error) from error


def _in_parts() -> Any:
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=4)
