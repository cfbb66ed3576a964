"""Files that are replaced as a whole: a reader sees the old content or the new, never a part.

Invariant: a file with a `mode` has it before it has any content.
"""

import os
from pathlib import Path


def replace_file(path: Path, content: bytes, mode: int | None = None, *, sync: bool = False) -> None:
    """`mode` restricts who can read the file, e.g. 0o600. With `sync`, a power cut leaves one of the two contents.
    Raises OSError.
    """
    new = path.with_name(f".{path.name}.new")
    if mode is not None:
        new.unlink(missing_ok=True)
        new.touch(mode=mode)
    with new.open("wb") as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    new.replace(path)
