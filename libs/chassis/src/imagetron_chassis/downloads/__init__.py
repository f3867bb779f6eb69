"""Fetching one picture from an address that somebody else wrote. Nothing in here decodes pictures: that is `pictures`."""

from imagetron_chassis.downloads.addresses import IPAddress
from imagetron_chassis.downloads.dialing import Dialer, SystemDialer
from imagetron_chassis.downloads.errors import (
    DownloadDenied,
    DownloadFailed,
    DownloadGone,
    DownloadRefused,
    DownloadsBusy,
    DownloadTooLarge,
    NotAPicture,
)
from imagetron_chassis.downloads.fetching import Downloaded, GuardedDownloads
from imagetron_chassis.downloads.resolving import Resolver, SystemResolver
from imagetron_chassis.downloads.rules import DownloadRules

__all__ = [
    "Dialer",
    "DownloadDenied",
    "DownloadFailed",
    "DownloadGone",
    "DownloadRefused",
    "DownloadRules",
    "DownloadTooLarge",
    "Downloaded",
    "DownloadsBusy",
    "GuardedDownloads",
    "IPAddress",
    "NotAPicture",
    "Resolver",
    "SystemDialer",
    "SystemResolver",
]
