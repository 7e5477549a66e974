"""Kind `prior`: the recipe's prior, which makes variants of seed images and knows no classes.

Nothing is learnt from labelled images. The directory is the prior's own, with the classes of the labelled images; what
draws with it is the prior's kind. That kind must be able to make variants.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ops.files.manifests import read_manifest
from ops.files.outputs import PRIOR
from ops.files.storage import read_json, write_json
from ops.generators.folder import CONFIG, WEIGHTS, read_config
from ops.generators.imaginable import ImaginingKind, OpenedPrior
from ops.generators.protocol import Cost, Fitting, Generator, Kind
from ops.recipe.generator import KindSettings
from ops.recipe.prior import PriorGeneratorSettings
from ops.recipe.sampler import SamplerSettings

if TYPE_CHECKING:
    from ops.generators.drawers import DrawerSpec

SEEN = "prior"  # in config.json: the kind of the prior, its pool and the number of images there
LEARNT = ("parameters", "steps", "best_step", "training_images", "precision")  # metrics that are those of the prior
ELSEWHERE = ("sha256",)  # besides, of a prior that learnt elsewhere


@dataclass(frozen=True)
class PriorKind:
    """The operations of the kind; `kinds` are those that a prior may have."""

    kinds: Mapping[str, Kind]
    name: ClassVar[str] = "prior"

    def check(
        self, settings: PriorGeneratorSettings, root: Path, class_names: Sequence[str], shape: tuple[int, int, int]
    ) -> None:
        """Does nothing: the prior is checked by its own kind."""

    def fit(self, settings: PriorGeneratorSettings, fitting: Fitting) -> dict[str, Any]:
        """Take over the prior's weights, with the class names of the labelled images."""
        assert fitting.prior is not None, "the stage generator has the prior among its inputs"
        config, seen = read_config(fitting.prior), read_json(fitting.prior / PRIOR)
        shutil.copyfile(fitting.prior / WEIGHTS, fitting.out / WEIGHTS)
        write_json(fitting.out / CONFIG, {**config, **fitting.describe(self.name), SEEN: seen})
        metrics = read_manifest(fitting.prior)["metrics"]
        return {key: metrics[key] for key in (*LEARNT, *(name for name in ELSEWHERE if name in metrics))}

    def load(self, folder: Path) -> Generator:
        return self._find_kind(folder).load(folder)

    def find_drawer(self, folder: Path) -> DrawerSpec:
        return self._find_kind(folder).find_drawer(folder)

    def estimate(
        self,
        settings: PriorGeneratorSettings,
        sampler: SamplerSettings,
        shape: tuple[int, int, int],
        classes: int,
        root: Path,
    ) -> Cost:
        """The prior's; `fit_seconds` are those of its training that are no steps, since nothing is fitted here."""
        prior = settings.prior
        return _without_steps(prior, self.kinds[prior.kind].estimate(prior, sampler, shape, 1, root))

    def guess(
        self,
        settings: PriorGeneratorSettings,
        sampler: SamplerSettings,
        shape: tuple[int, int, int],
        root: Path,
        rate: float,
        workers: int,
    ) -> Cost:
        prior = settings.prior
        return _without_steps(prior, self.kinds[prior.kind].guess(prior, sampler, shape, root, rate, workers))

    def open_prior(self, folder: Path, sampler: SamplerSettings) -> OpenedPrior:
        """As the prior's kind opens it; ValueError for one that cannot imagine, which the recipe's check refuses."""
        return _narrow(self._find_kind(folder)).open_prior(folder, sampler)

    def weigh_decoding(
        self, settings: PriorGeneratorSettings, sampler: SamplerSettings, shape: tuple[int, int, int], root: Path
    ) -> float:
        prior = settings.prior
        return _narrow(self.kinds[prior.kind]).weigh_decoding(prior, sampler, shape, root)

    def _find_kind(self, folder: Path) -> Kind:
        """The kind of the prior in this directory."""
        return self.kinds[read_config(folder)[SEEN]["kind"]]


def _narrow(kind: Kind) -> ImaginingKind:
    if not isinstance(kind, ImaginingKind):
        raise ValueError(f"kind {kind.name} cannot imagine")
    return kind


def _without_steps(prior: KindSettings, cost: Cost) -> Cost:
    """The cost of a prior without its steps, which the plan counts by themselves."""
    return replace(cost, fit_seconds=cost.fit_seconds - getattr(prior, "steps", 0) * cost.step_seconds)
