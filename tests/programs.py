"""Programs of the shell that stand for others in a test."""

from pathlib import Path


def stand_in(path: Path, script: str) -> None:
    """Write a program that does this instead."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
