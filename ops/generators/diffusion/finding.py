"""Find the folder of a pipeline from a recipe or a generator directory.

Nothing is downloaded: the folder lies in the workspace, or in the Hub's cache on this machine.
"""

from __future__ import annotations

import re
from pathlib import Path

from ops.errors import UserError
from ops.generators.diffusion.folder import INDEX, KEY

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def find_root(folder: Path) -> Path:
    """The root of the workspace that `folder` (absolute) lies in: the nearest with params.yaml and recipes/ above it.

    UserError if there is none.
    """
    for root in folder.parents:
        if (root / "params.yaml").is_file() and (root / "recipes").is_dir():
            return root
    raise UserError(f"{folder} lies in no workspace, so the pipeline that it draws with cannot be found")


def find_pipeline(model: str, revision: str | None, root: Path) -> Path:
    """The folder that `model` names: below the workspace's `root`, or in the Hub's cache at `revision`.

    The Hub itself is never asked. UserError if there is none.
    """
    if (root / model).is_dir():
        if revision is not None:
            raise UserError(f"{KEY}.revision has no effect with the folder {root / model}; remove it")
        return root / model
    if (root / model).exists():
        raise UserError(f"{KEY}.model: {root / model} is a file; name the folder that holds {INDEX}")
    if not _HUB_NAME.fullmatch(model):
        raise UserError(f"{KEY}.model: the folder {root / model} does not exist")
    if revision is None:
        raise UserError(
            f"{KEY}.model: the folder {root / model} does not exist; for a name in this machine's Hugging Face"
            f" cache, name its commit in {KEY}.revision"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, revision=revision, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError):
        raise UserError(
            f"{KEY}.model: {model} at {revision[:8]} is neither a folder in {root} nor in this machine's Hugging"
            f" Face cache, and Growset downloads no networks; run `hf download {model} --revision {revision}"
            " --local-dir DIR` where there is internet and name DIR"
        ) from None
