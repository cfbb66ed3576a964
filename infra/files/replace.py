"""Files of a report: each is there as a whole, or as it was."""

from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Raises OSError."""
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    new.replace(path)
