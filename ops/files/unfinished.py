"""A folder that is filled beside the place where it will stand, by one process at a time.

After a crash it is known to be nobody's, because the lock on its holder is gone, and the next call deletes it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ops.errors import UserError


@contextmanager
def unfinished(target: Path) -> Iterator[Path]:
    """An empty folder on the file system of `target`; what is still there at the end of the block is deleted.

    UserError if another process is filling one for the same target.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    holder = target.with_name(f".{target.name}.growset-unfinished")
    holder.mkdir(exist_ok=True)
    descriptor = os.open(holder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{target} is being written by another command; wait for it or name another") from None
        try:
            folder = holder / "folder"
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir()
            yield folder
        finally:
            shutil.rmtree(holder)
    finally:
        os.close(descriptor)
