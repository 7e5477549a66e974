"""Require `transformers`, before anything is computed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from ops.errors import UserError

INSTALL = 'pip install -c constraints.txt -e ".[clip]"'
OLDEST, TOO_NEW = (5, 23), (6,)


def require_transformers(key: str) -> None:
    """UserError, with the recipe's section `key`, if `transformers` is missing or of an untested version."""
    try:
        found = version("transformers")
    except PackageNotFoundError:
        raise UserError(f"{key} needs the package transformers, which is not installed; run: {INSTALL}") from None
    numbers = tuple(int(part) for part in found.split(".")[:2] if part.isdigit())
    if not OLDEST <= numbers < TOO_NEW:
        raise UserError(f"{key} needs transformers from 5.23 up to 6, and {found} is installed; run: {INSTALL}")
