"""The external networks that a recipe's filters use: checked before any compute, opened when they are needed.

Their folders are not versioned by Growset, so a recipe names the hash of their content. The hash is part of the stage's
fingerprint and is compared each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ops.filters.scores import ExternalNetworks
    from ops.pretrained.extractor import Extractor
    from ops.recipe.filtering import FilterSettings

CLIP, SAFETY, EXTRACTOR = "filter.clip", "filter.safety", "filter.extractor"


def check_external_networks(settings: FilterSettings, root: Path, class_names: Sequence[str]) -> None:
    """UserError or DamagedData for a folder with other content than the recipe's, or unfit names or prompts."""
    if settings.clip is None and settings.safety is None and settings.extractor is None:
        return
    from ops.pretrained.folder import identify
    from ops.pretrained.validation import validate_clip, validate_extractor, validate_safety

    if settings.clip is not None:
        identify(validate_clip(settings.clip, root, class_names, CLIP), settings.clip.sha256, CLIP)
    if settings.safety is not None:
        identify(validate_safety(settings.safety, root, SAFETY), settings.safety.sha256, SAFETY)
    if settings.extractor is not None:
        identify(validate_extractor(settings.extractor, root, EXTRACTOR), settings.extractor.sha256, EXTRACTOR)


def open_external_networks(settings: FilterSettings, root: Path, class_names: Sequence[str]) -> ExternalNetworks:
    """The networks, opened."""
    from ops.filters.scores import ExternalNetworks
    from ops.pretrained.clip import open_clip
    from ops.pretrained.folder import find_folder
    from ops.pretrained.safety import open_safety

    clip, safety = None, None
    if settings.clip is not None:
        network = open_clip(find_folder(settings.clip.model, root, CLIP), key=CLIP)
        names, prompts = settings.clip.class_names or tuple(class_names), settings.clip.prompts
        clip = partial(network.agreement, class_names=names, prompts=prompts)
    if settings.safety is not None:
        folder = find_folder(settings.safety.model, root, SAFETY)
        safety = open_safety(folder, settings.safety.unsafe, key=SAFETY).probability
    return ExternalNetworks(clip, safety)


def call_extractor(settings: FilterSettings, root: Path) -> Extractor | None:
    """The opened network whose features measure the accepted images; None if the recipe names none."""
    if settings.extractor is None:
        return None
    from ops.pretrained.extractor import open_extractor
    from ops.pretrained.folder import find_folder

    return open_extractor(find_folder(settings.extractor.model, root, EXTRACTOR), key=EXTRACTOR)


def describe_external_networks(settings: FilterSettings) -> list[dict[str, Any] | None]:
    """The settings of these networks that scores depend on: all but thresholds and paths."""
    return [
        None if one is None else one.model_dump(mode="json", exclude={"model", "cut"})
        for one in (settings.clip, settings.safety)
    ]
