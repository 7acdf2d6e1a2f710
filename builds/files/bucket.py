"""A bucket of S3, or of a server that speaks like it, as a place for wheels."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from storages.backends.s3 import S3Storage

from builds.files.storage import Unreachable
from builds.files.stored import Stored, wheel_file

# What a wheel's bytes are is in its address, so whoever has them may keep them; as the index itself says.
_FOR_EVER = "public, max-age=365000000, immutable"


class Bucket(S3Storage):  # type: ignore[misc]  # it has no types
    """A bucket whose files tell clients and caches the same as the index does.

    A write is whole or nothing by itself: what breaks off is never seen.
    """

    FAULTS: tuple[type[Exception], ...] = (OSError, BotoCoreError, ClientError)

    def get_default_settings(self) -> dict[str, Any]:  # Any: django-storages' own
        """Overwrite, as the same name is the same bytes; and hold no large file in memory."""
        return {**super().get_default_settings(), "file_overwrite": True, "max_memory_size": 8 << 20}

    def get_object_parameters(self, name: str) -> dict[str, Any]:  # Any: django-storages' own
        """Return the headers that a file is served with, where nothing of ours is in front."""
        parameters: dict[str, Any] = super().get_object_parameters(name)
        # By its ending a log would be served as one that is to be unpacked on the way.
        parameters.setdefault("ContentType", "application/octet-stream")
        of = wheel_file(name.removeprefix(self._key("")))
        if of and of.is_exact:
            parameters.setdefault("CacheControl", _FOR_EVER)
        return parameters

    def walk(self, folder: str, after: str = "") -> Iterator[Stored]:
        """Give all files below a folder whose names come after that one, in the order of their names."""
        start = len(self._key(""))
        wanted = {"Prefix": self._key(f"{folder}/" if folder else "")}
        if after:
            wanted["StartAfter"] = self._key(after)
        for page in self._pages(**wanted):
            for entry in page.get("Contents", ()):
                yield Stored(entry["Key"][start:], entry["Size"], entry["LastModified"])

    def folders(self, folder: str) -> list[str]:
        """Return the names of a folder's folders, sorted."""
        prefix = self._key(f"{folder}/" if folder else "")
        pages = self._pages(Prefix=prefix, Delimiter="/")
        return [each["Prefix"][len(prefix) : -1] for page in pages for each in page.get("CommonPrefixes", ())]

    def loose(self, folder: str) -> list[str]:
        """Return the names of the files that are directly in a folder, "" for the bucket itself."""
        prefix = self._key(f"{folder}/" if folder else "")
        pages = self._pages(Prefix=prefix, Delimiter="/")
        return [each["Key"][len(prefix) :] for page in pages for each in page.get("Contents", ())]

    def rename(self, old: str, new: str) -> None:
        """Give a file another name; raises FileNotFoundError."""
        self.size(old)
        # In parts where it is large, and without a byte of it coming here.
        source = {"Bucket": self.bucket_name, "Key": self._key(old)}
        self.bucket.Object(self._key(new)).copy(source)
        self.delete(old)

    def require(self) -> None:
        """Raise Unreachable if the bucket is not there, or not for us."""
        try:
            self.connection.meta.client.head_bucket(Bucket=self.bucket_name)
        except (BotoCoreError, ClientError) as error:
            raise Unreachable(
                f"{self.said()} cannot be reached ({error}): look at its name, the keys and the address."
            ) from error

    def said(self) -> str:
        """Return where it is, as the setting has it."""
        return f"s3://{self.bucket_name}/{self.location}".rstrip("/")

    def _key(self, name: str) -> str:
        """Return the name that the bucket itself has for a file."""
        return f"{self.location.strip('/')}/{name}" if self.location.strip("/") else name

    def _pages(self, **wanted: str) -> Iterator[dict[str, Any]]:  # Any: boto3's answers
        """Give the bucket's answers to one question about its listing."""
        paginator = self.connection.meta.client.get_paginator("list_objects_v2")
        yield from paginator.paginate(Bucket=self.bucket_name, **wanted)
