"""What exists upstream: packages, their versions and files, and how we follow PyPI."""
