"""Object storage: the port is here, the adapters are beside it and are named only by a service's bootstrap."""

from imagetron_chassis.blobs.port import BlobInfo, BlobMissing, Blobs, BlobsUnavailable, InvalidKey, checked_key

__all__ = ["BlobInfo", "BlobMissing", "Blobs", "BlobsUnavailable", "InvalidKey", "checked_key"]
