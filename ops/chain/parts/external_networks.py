"""External networks that a recipe's filters and its verdict use: checked before any compute, opened when needed.

Growset does not version their folders, so the recipe names the hash of their content. It is part of the stage's
fingerprint and is compared with the folder each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ops.classifiers.reference.model import Describe
    from ops.filters.scores import ExternalNetworks
    from ops.pretrained.extractor import Extractor
    from ops.recipe.filtering import FilterSettings
    from ops.recipe.pretrained import ReferenceSettings

CLIP, SAFETY, EXTRACTOR = "filter.clip", "filter.safety", "filter.extractor"
REFERENCE = "verdict.reference"


def check_external_networks(settings: FilterSettings, root: Path, class_names: Sequence[str]) -> None:
    """UserError or DamagedData if a folder differs from the recipe's description, or names and prompts do not fit."""
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
    """The networks that score images."""
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


def open_measuring_network(settings: FilterSettings, root: Path) -> Extractor | None:
    """The external network in whose features the accepted images are measured; None if the recipe names none."""
    if settings.extractor is None:
        return None
    from ops.pretrained.extractor import open_extractor
    from ops.pretrained.folder import find_folder

    return open_extractor(find_folder(settings.extractor.model, root, EXTRACTOR), key=EXTRACTOR)


def check_reference_network(settings: ReferenceSettings | None, root: Path) -> None:
    """UserError or DamagedData if the folder of the reference model's network differs from its description."""
    if settings is None:
        return
    from ops.pretrained.folder import identify
    from ops.pretrained.validation import validate_extractor

    identify(validate_extractor(settings, root, REFERENCE), settings.sha256, REFERENCE)


def open_reference_network(settings: ReferenceSettings | None, root: Path) -> dict[str, Describe]:
    """The features of the network that the recipe names, by their name; {} if it names none."""
    if settings is None:
        return {}
    import torch

    from ops.datasets.axes import to_nchw
    from ops.pretrained.extractor import open_extractor
    from ops.pretrained.folder import find_folder

    extractor = open_extractor(find_folder(settings.model, root, REFERENCE), key=REFERENCE)
    return {f"features of {extractor.name}": lambda images: extractor.features(torch.from_numpy(to_nchw(images)))}


def describe_external_networks(settings: FilterSettings) -> list[dict[str, Any] | None]:
    """The recipe's settings of these networks that affect scores; thresholds do not."""
    return [
        None if one is None else one.model_dump(mode="json", exclude={"model", "cut"})
        for one in (settings.clip, settings.safety)
    ]
