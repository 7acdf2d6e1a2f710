"""Rows of the index: what is counted of its use, and what the published tree shows."""

from simple.models.bundle import Bundle
from simple.models.downloads import (
    MOST_PATH,
    Client,
    DailySalt,
    Download,
    DownloadDay,
    Log,
    Miss,
    MonthlyDownload,
    PackageDownload,
    RawDownload,
)
from simple.models.request import Request
from simple.models.shown import PublishedTree, Shown
from simple.models.summed import DownloadShare, TopPackages

__all__ = [
    "MOST_PATH",
    "Bundle",
    "Client",
    "DailySalt",
    "Download",
    "DownloadDay",
    "DownloadShare",
    "Log",
    "Miss",
    "MonthlyDownload",
    "PackageDownload",
    "PublishedTree",
    "RawDownload",
    "Request",
    "Shown",
    "TopPackages",
]
