"""Require `transformers` and `peft`, before anything is computed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from ops.errors import UserError

CLIP, DIFFUSION = "clip", "diffusion"  # the extras that install them
OLDEST, TOO_NEW = (5, 23), (6,)


def require_transformers(key: str, extra: str = CLIP) -> None:
    """UserError, with the recipe's section `key`, if `transformers` is missing or of an untested version."""
    install = describe_installation(extra)
    try:
        found = version("transformers")
    except PackageNotFoundError:
        raise UserError(f"{key} needs the package transformers, which is not installed; run: {install}") from None
    numbers = tuple(int(part) for part in found.split(".")[:2] if part.isdigit())
    if not OLDEST <= numbers < TOO_NEW:
        raise UserError(f"{key} needs transformers from 5.23 up to 6, and {found} is installed; run: {install}")


def require_peft(key: str) -> None:
    """The same for `peft`, of whatever version the installation brought."""
    try:
        version("peft")
    except PackageNotFoundError:
        raise UserError(
            f"{key} needs the package peft, which is not installed; run: {describe_installation(DIFFUSION)}"
        ) from None


def describe_installation(extra: str) -> str:
    """The command that installs an extra, in a clone."""
    return f'pip install -c constraints.txt -e ".[{extra}]"'
