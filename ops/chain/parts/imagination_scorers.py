"""Scorers of imagination other than that of the stage: checked before any compute, prepared once, opened by drawers.

What is learnt or read once (a CLIP's embeddings of the classes, a probe's heads) is stored beside the exported
generator with the classes in their order, and whoever opens it compares them with the generator's, by which images are
written. The networks that see images are not stored: a folder of the user's, known by its hash, or the generator's own
encoder.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ops.datasets.axes import to_nchw
from ops.errors import DamagedData, UserError
from ops.files.model_folders import open_cache
from ops.files.outputs import IMAGINATION, IMAGINATION_FACTS, IMAGINATION_SCORER
from ops.files.storage import read_json, replace_file
from ops.generators.diffusion.classes import ClassTable, build_class_table, compare_classes, compare_spoken
from ops.generators.diffusion.finding import find_root
from ops.generators.folder import SPOKEN, read_config
from ops.recipe.scorers import KEY, ClipScorer, ProbeScorer

if TYPE_CHECKING:
    import torch

    from ops.datasets.pixels import PixelDataset
    from ops.imagination.protocols import Scorer, Statistics
    from ops.imagination.scorers import See
    from ops.pretrained.clip import Clip
    from ops.pretrained.extractor import Extractor
    from ops.recipe.schema import Recipe
    from ops.settings.kinds import Kind

JUDGE = "scorer"  # a key of imagination.json
KIND, MODEL = "scorer_kind", "scorer_model"  # of the facts
AT_ONCE = 64  # images that are described in one call
FOLDS, CLASSES, SCALE = "folds", "classes", "scale"  # tensors in the file
HEADS = ("mean", "deviation", "weights", "intercepts", "temperature")


@dataclass(frozen=True)
class OtherScorer:
    """A prepared scorer.

    file : its numbers. described : as JSON, what its answers follow from besides. model : the network that sees images,
    as the recipe names it, in a workspace with this root; None for the generator's own encoder.
    """

    file: Path
    described: Mapping[str, Any] = field(hash=False)  # opened drawers are kept by hash
    model: str | None
    root: Path

    def open(self, generator: Path, keys: Sequence[str]) -> Scorer:
        """For variants by the generator in a folder; `keys` are those of all training images, in order.

        UserError if the generator has other classes, or another order; DamagedData if the seed images are others.
        """
        from safetensors.torch import load_file

        from ops.imagination.scorers import Heads, ProbeScorer, ZeroShotScorer

        names = read_config(generator)["class_names"]
        compare_classes(self.described["class_names"], names, f"the generator in {generator}", "imagination's scorer")
        tensors = load_file(self.file)
        if self.described["kind"] == "clip":
            return ZeroShotScorer(self._open_eye(generator), tensors[CLASSES], float(tensors[SCALE]))
        folds = tensors[FOLDS].tolist()
        if len(folds) != len(keys):
            raise DamagedData(f"{self.file} was learnt from {len(folds)} images, and there are {len(keys)}")
        mean, deviation, weights, intercepts, temperature = (tensors[name] for name in HEADS)
        heads = Heads(mean, deviation, weights, intercepts, float(temperature))
        return ProbeScorer(self._open_eye(generator), heads, dict(zip(keys, folds, strict=True)))

    def _open_eye(self, generator: Path) -> See:
        """What sees images; UserError if the folder is not the one that the numbers were made with."""
        if self.model is None:
            return _open_encoder(generator)
        sha256 = self.described["sha256"]
        if self.described["kind"] == "clip":
            return _open_clip(_check_clip(self.model, sha256, self.root, self.described["prompts"]))
        return _open_backbone(_check_backbone(self.model, sha256, self.root))


def store_judge(judge: OtherScorer, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Copy the numbers into the folder of an exported generator; what goes into imagination.json, and into the facts.

    Where the network lies changes no image, so it is among the facts.
    """
    shutil.copyfile(judge.file, folder / IMAGINATION_SCORER)
    kind = {KIND: judge.described["kind"]}
    return {JUDGE: dict(judge.described)}, kind if judge.model is None else kind | {MODEL: judge.model}


def read_judge(folder: Path) -> OtherScorer | None:
    """What `store_judge` stored; None where the scorer is that of the stage. UserError outside a workspace."""
    if (described := read_json(folder / IMAGINATION).get(JUDGE)) is None:
        return None
    model = read_json(folder / IMAGINATION_FACTS).get(MODEL)
    return OtherScorer(folder / IMAGINATION_SCORER, described, model, find_root(folder.absolute()))


def check_scorer_of_imagination(recipe: Recipe, root: Path, class_names: Sequence[str]) -> None:
    """UserError or DamagedData for a folder that differs from its description, or for names that do not fit."""
    imagination = recipe.sampler.imagination
    if imagination is None:
        return
    scorer, prompts = imagination.scorer, getattr(recipe.generator, "prompts", None)
    if isinstance(scorer, ClipScorer):
        spoken = None
        if prompts is not None:
            spoken = dict(zip(class_names, build_class_table(class_names, prompts).spoken, strict=True))
        texts = _write(name_classes(scorer, class_names, spoken))
        _check_clip(scorer.model, scorer.sha256, root, texts)
    if isinstance(scorer, ProbeScorer) and scorer.model is not None:
        _check_backbone(scorer.model, scorer.sha256, root)


def name_classes(scorer: ClipScorer, class_names: Sequence[str], spoken: Mapping[str, str] | None) -> ClassTable:
    """The table of the classes for a CLIP; `spoken` is what the generator's prompts call them, if it has prompts.

    UserError for a class without a usable name, and for one that the generator's prompts call otherwise.
    """
    if spoken is not None and scorer.class_names is None:
        scorer = scorer.model_copy(update={"class_names": dict(spoken)})
    table = build_class_table(class_names, scorer, KEY)
    if spoken is not None:
        theirs = [spoken[name] for name in class_names]
        compare_spoken(table.names, theirs, table.spoken, KEY, "the generator's prompts")
    return table


def prepare_scorer(
    settings: Kind, *, generator: Path, scorer: Path, train: PixelDataset, root: Path, scratch: Path
) -> OtherScorer | None:
    """The recipe's scorer, its numbers in `scratch`; None for that of the stage, in whose folder `scorer` it is.

    generator : the folder of a generator. root : of the workspace. Raises as `check_scorer_of_imagination`.
    """
    file, described = scratch / IMAGINATION_SCORER, dict[str, Any]()
    if isinstance(settings, ClipScorer):
        from ops.pretrained.clip import open_clip

        spoken = read_config(generator).get(SPOKEN)
        table = name_classes(settings, train.class_names, None if spoken is None else dict(spoken))
        texts = _write(table)
        clip = open_clip(_check_clip(settings.model, settings.sha256, root, texts), key=KEY)
        _save(file, {CLASSES: clip.embed_sentences(texts).clone(), SCALE: _to_tensor(clip.scale)})
        described = {"kind": settings.kind, "sha256": settings.sha256, "prompts": texts}
        return OtherScorer(file, described | {"class_names": list(table.names)}, settings.model, root)
    if isinstance(settings, ProbeScorer):
        from ops.judging.probe import fit_heads
        from ops.judging.scorer import load_scorer

        if settings.model is None:
            see = _open_encoder(generator)
        else:
            see = _open_backbone(_check_backbone(settings.model, settings.sha256, root))
        folds = load_scorer(scorer).folds
        try:
            heads = fit_heads(_describe(see, train), train.labels, folds, len(train.class_names))
        except ValueError as error:
            raise UserError(f"{KEY}: {error}") from None
        _save(file, {**{name: _to_tensor(getattr(heads, name)) for name in HEADS}, FOLDS: _to_tensor(folds)})
        described = {"kind": settings.kind, "sha256": settings.sha256, "strength": heads.strength}
        return OtherScorer(file, described | {"class_names": list(train.class_names)}, settings.model, root)
    return None


def _write(table: ClassTable) -> list[list[str]]:
    """Each class's sentences."""
    return [[table.write(label, i) for i in range(len(table.templates))] for label in range(len(table.names))]


def _check_clip(model: str, sha256: str | None, root: Path, texts: Sequence[Sequence[str]]) -> Path:
    from ops.pretrained.folder import find_folder, identify
    from ops.pretrained.validation import validate_sentences

    folder = validate_sentences(find_folder(model, root, KEY), texts, KEY)
    identify(folder, sha256, KEY, open_cache(root, folder.path))
    return folder.path


def _check_backbone(model: str, sha256: str | None, root: Path) -> Path:
    from ops.pretrained.folder import find_folder, identify
    from ops.pretrained.validation import check_extractor

    folder, _ = check_extractor(find_folder(model, root, KEY), KEY)
    identify(folder, sha256, KEY, open_cache(root, folder.path))
    return folder.path


def _open_clip(path: Path) -> See:
    from ops.pretrained.clip import open_clip

    return partial(_see, open_clip(path, key=KEY))


def _open_backbone(path: Path) -> See:
    from ops.pretrained.extractor import open_extractor

    return partial(_see, open_extractor(path, key=KEY))


def _see(opened: Clip | Extractor, images: torch.Tensor, statistics: Statistics | None) -> torch.Tensor:
    return opened.see(images, *(statistics or ()))


def _open_encoder(generator: Path) -> See:
    """What sees images by the encoder of a generator of kind instance."""
    from ops.generators.instance_kind import InstanceKind

    opened = InstanceKind().load(generator)
    return partial(_encode, opened.networks.encoder.requires_grad_(False))  # type: ignore[attr-defined]


def _encode(encoder: Any, images: torch.Tensor, statistics: Statistics | None) -> torch.Tensor:
    from ops.imagination.scorers import OWN, normalise

    found: torch.Tensor = encoder.encode(normalise(images, statistics or OWN))
    return found


def _describe(see: See, images: PixelDataset) -> np.ndarray:
    """Features float32 [n, d] of stored images."""
    import torch

    levels = torch.from_numpy(to_nchw(images.images))
    with torch.no_grad():
        return torch.cat([see(part.float() / 255, None) for part in levels.split(AT_ONCE)]).numpy()


def _to_tensor(value: Any) -> torch.Tensor:
    import torch

    found = np.asarray(value)
    return torch.from_numpy(found.astype(np.int64 if found.dtype.kind == "i" else np.float32))


def _save(file: Path, tensors: dict[str, torch.Tensor]) -> None:
    from safetensors.torch import save_file

    with replace_file(file) as temporary:
        save_file(tensors, temporary)
