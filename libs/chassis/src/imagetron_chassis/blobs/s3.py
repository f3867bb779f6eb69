"""Objects in an S3-compatible bucket (R2, S3, MinIO) through boto3.

A request that the store answers with a passing error is repeated at once, within a budget: a family is dozens of requests,
and all of them must go well. Everything else is tried once: the delivery rules retry.

A store that does not know `If-None-Match` answers 501, which is told; one that ignores the header overwrites silently,
which no answer shows. For both there is `conditional_puts=False`, and then a key may have one writer at a time only.
"""

import asyncio
import io
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError
from botocore.exceptions import ConnectionError as NoConnection

from imagetron_chassis.blobs.port import BlobInfo, BlobMissing, BlobsUnavailable, checked_key
from imagetron_chassis.errors import ChassisError, Permanent, RateLimited
from imagetron_chassis.retry_budget import RetryBudget

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

MAX_EXPIRES_SECONDS: Final = 604_800  # the limit of signature version 4: one week
# A chunk takes about as long as all before it, so a trickle holds its thread for twice the deadline, not for hours.
_FIRST_CHUNK_BYTES: Final = 64
_LARGEST_CHUNK_BYTES: Final = 16_384
_SLOW_DOWN: Final = frozenset(
    {"SlowDown", "Throttling", "ThrottlingException", "TooManyRequests", "RequestLimitExceeded"}
)
_CONNECT_SECONDS: Final = 5  # a handshake across the world takes one
# Simulated for a family of five images and a store that fails every tenth request: done within six tries of the message
# in 1 % of the cases without a repetition, in 99 % with one. No more than one: trying again is the consumer's.
_REPEAT_PAUSES_SECONDS: Final = (0.2,)
_NOT_FOUND: Final = 404
_PRECONDITION_FAILED: Final = 412
_TOO_MANY_REQUESTS: Final = 429


class _Upload(io.BytesIO):
    """A body that stops being sent at the deadline: nobody waits any more, so the thread is given back."""

    def __init__(self, data: bytes, until: float) -> None:
        super().__init__(data)
        self._until = until

    def read(self, size: int | None = -1, /) -> bytes:
        _check(self._until)
        return super().read(size)


class S3Blobs:
    """Every call ends within `deadline_seconds`, waiting for a thread included: read timeouts do not bound a trickle.

    Besides the port's errors it raises RateLimited when the store asks to slow down. The credentials live in boto3's
    client alone; no error and no repr of ours holds them.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        bucket: str,
        access_key_id: str,
        secret_access_key: str,
        region: str = "auto",
        prefix: str = "",
        threads: int = 16,
        deadline_seconds: float = 30,
        path_style: bool = True,
        conditional_puts: bool = True,
    ) -> None:
        self._endpoint = endpoint
        self._bucket = bucket
        self._prefix = f"{checked_key(prefix)}/" if prefix else ""
        self._deadline_seconds = deadline_seconds
        self._conditional_puts = conditional_puts
        self._repeats = RetryBudget()
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="blobs-s3")
        self._client: S3Client = boto3.session.Session(
            aws_access_key_id=access_key_id, aws_secret_access_key=secret_access_key, region_name=region
        ).client(
            "s3",
            endpoint_url=endpoint,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path" if path_style else "virtual"},
                # Trailing checksums are an AWS extension that several stores refuse.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                retries={"total_max_attempts": 1, "mode": "standard"},
                max_pool_connections=threads,
                connect_timeout=min(_CONNECT_SECONDS, deadline_seconds),
                read_timeout=deadline_seconds,
            ),
        )

    def __repr__(self) -> str:
        return f"S3Blobs(endpoint={self._endpoint!r}, bucket={self._bucket!r}, prefix={self._prefix!r})"

    async def put_if_absent(
        self, key: str, data: bytes, *, content_type: str, cache_control: str | None = None
    ) -> bool:
        name = self._name(key)
        headers: dict[str, Any] = {"ContentType": content_type}
        if cache_control is not None:
            headers["CacheControl"] = cache_control
        if self._conditional_puts:
            headers["IfNoneMatch"] = "*"

        until = time.monotonic() + self._deadline_seconds

        def store() -> bool:
            if not self._conditional_puts and self._is_taken(name):
                return False
            try:
                self._client.put_object(Bucket=self._bucket, Key=name, Body=_Upload(data, until), **headers)
            except ClientError as error:
                if _status(error) == _PRECONDITION_FAILED:
                    return False
                raise
            return True

        return await self._call(f"the put of {key}", store)

    async def get(self, key: str) -> bytes:
        name = self._name(key)
        until = time.monotonic() + self._deadline_seconds

        def read() -> bytes:
            chunks, size = [], _FIRST_CHUNK_BYTES
            with closing(self._client.get_object(Bucket=self._bucket, Key=name)["Body"]) as body:
                while chunk := body.read(size):
                    chunks.append(chunk)
                    _check(until)
                    size = min(2 * size, _LARGEST_CHUNK_BYTES)
            return b"".join(chunks)

        return await self._call(f"the get of {key}", read, missing=BlobMissing(key))

    async def head(self, key: str) -> BlobInfo | None:
        name = self._name(key)
        try:
            found = await self._call(
                f"the head of {key}",
                lambda: self._client.head_object(Bucket=self._bucket, Key=name),
                missing=BlobMissing(key),
            )
        except BlobMissing:
            return None
        return BlobInfo(
            key=key,
            size_bytes=found["ContentLength"],
            content_type=found.get("ContentType", "application/octet-stream"),
            cache_control=found.get("CacheControl"),
            etag=found["ETag"],
        )

    async def delete(self, key: str) -> None:
        name = self._name(key)
        await self._call(f"the delete of {key}", lambda: self._client.delete_object(Bucket=self._bucket, Key=name))

    async def presign(self, key: str, *, expires_seconds: int) -> str:
        name = self._name(key)
        if not 1 <= expires_seconds <= MAX_EXPIRES_SECONDS:
            raise Permanent(
                f"a URL for {key} cannot be signed for {expires_seconds} s: choose 1 to {MAX_EXPIRES_SECONDS} s"
            )
        # As an attachment: what is opened from the store's domain is saved, never rendered or run there.
        wanted = {"Bucket": self._bucket, "Key": name, "ResponseContentDisposition": "attachment"}
        return await self._call(
            f"the signature for {key}",
            lambda: self._client.generate_presigned_url("get_object", Params=wanted, ExpiresIn=expires_seconds),
        )

    async def ping(self) -> None:
        await self._call("the look at the bucket", lambda: self._client.head_bucket(Bucket=self._bucket))

    async def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def _name(self, key: str) -> str:
        return self._prefix + checked_key(key)

    def _is_taken(self, name: str) -> bool:
        try:
            self._client.head_object(Bucket=self._bucket, Key=name)
        except ClientError as error:
            if _status(error) == _NOT_FOUND:
                return False
            raise
        return True

    async def _call(self, doing: str, work: Callable[[], T], *, missing: BlobMissing | None = None) -> T:
        try:
            async with asyncio.timeout(self._deadline_seconds):
                return await self._answered(doing, work, missing)
        except TimeoutError as error:
            raise BlobsUnavailable(
                f"{self._endpoint} did not finish {doing} within {self._deadline_seconds:g} s"
            ) from error
        except (HTTPClientError, IncompleteReadError, NoConnection) as error:
            raise BlobsUnavailable(f"{self._endpoint} broke off {doing}: {error}") from error

    async def _answered(self, doing: str, work: Callable[[], T], missing: BlobMissing | None) -> T:
        """What the store says, after a repetition if it says that it cannot answer now."""
        self._repeats.request()
        pauses = iter(_REPEAT_PAUSES_SECONDS)
        while True:
            try:
                return await asyncio.get_running_loop().run_in_executor(self._executor, work)
            except ClientError as error:
                failure = self._failure(error, doing, missing)
                pause = next(pauses, None)
                # A put that was done in spite of its error finds its own object the next time, and says so.
                if pause is None or not isinstance(failure, BlobsUnavailable) or not self._repeats.spend():
                    raise failure from error
            await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - only to spread the repetitions

    def _failure(self, error: ClientError, doing: str, missing: BlobMissing | None) -> ChassisError:
        code, status = str(error.response.get("Error", {}).get("Code", "")), _status(error)
        answer = f"{self._endpoint} answered {doing} with {status} {code}".rstrip()
        if status == _TOO_MANY_REQUESTS or code in _SLOW_DOWN:
            return RateLimited(f"{answer}: it wants fewer requests", retry_after_seconds=_retry_after(error))
        match status:
            case 404 if missing and code != "NoSuchBucket":
                return missing
            case 404:
                return Permanent(
                    f"{self._endpoint} has no bucket {self._bucket!r} ({doing}): create it or name another"
                )
            case 401 | 403:
                return Permanent(f"{answer}: the credentials are wrong or may not do this in bucket {self._bucket!r}")
            case 501 if self._conditional_puts:
                return Permanent(
                    f"{answer}: if it has no conditional puts, use conditional_puts=False, one writer a key"
                )
            case 408 | 409 | 500 | 502 | 503 | 504:
                return BlobsUnavailable(answer)
            case _ if code == "RequestTimeout":
                return BlobsUnavailable(answer)
        return Permanent(answer)


def _check(until: float) -> None:
    if time.monotonic() > until:
        raise TimeoutError


def _status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def _retry_after(error: ClientError) -> float | None:
    seconds = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("retry-after", "")
    return float(seconds) if seconds.isdecimal() else None
