"""Opens the object stores that the settings name: the work store (private, expires) and the public one."""

from imagetron_chassis.blobs import Blobs
from imagetron_chassis.blobs.filesystem import FilesystemBlobs
from imagetron_chassis.blobs.s3 import S3Blobs
from imagetron_chassis.settings import BaseServiceSettings


def work_store(settings: BaseServiceSettings) -> Blobs:
    """Renders and specs, private to the services."""
    return _open(settings, bucket=settings.s3_work_bucket, folder="work")


def public_store(settings: BaseServiceSettings) -> Blobs:
    """What everybody may read, under immutable keys."""
    return _open(settings, bucket=settings.s3_bucket, folder="public")


def _open(settings: BaseServiceSettings, *, bucket: str | None, folder: str) -> Blobs:
    if bucket is None:
        if settings.storage_path is None:
            raise ValueError("no object store is configured")
        return FilesystemBlobs(settings.storage_path / folder)
    return S3Blobs(
        endpoint=settings.s3_endpoint or "",
        region=settings.s3_region,
        bucket=bucket,
        access_key_id=settings.s3_access_key_id or "",
        secret_access_key=settings.s3_secret_access_key.get_secret_value() if settings.s3_secret_access_key else "",
    )
