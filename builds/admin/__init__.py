"""The operators' door, one module for what the farm is and did, and one for what is wanted of it."""

from builds.admin import counted, farm, wanted

__all__ = ["counted", "farm", "wanted"]
