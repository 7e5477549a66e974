"""A drawer that imagines: torch varies, perturbs and climbs, and the prior's own decoder decodes what was found.

An image depends on its seed image, its number and the seed alone. It is made with the other images of its block
(`ops.imagination.blocks`), also where these are not asked for, so pieces, workers, slices and rounds change no bit.
The drawer keeps the last block, because consecutive rows are mostly of one.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from ops.chain.parts.imagination_scorers import OtherScorer, read_judge
from ops.chain.parts.imagined_rows import list_columns
from ops.chain.parts.imagining_preset import Imagining, restore
from ops.datasets.pixels import read_rows
from ops.errors import DamagedData, UserError
from ops.files.outputs import IMAGINATION
from ops.files.storage import read_json
from ops.generators.drawers import SamplerInfo
from ops.generators.feeds import IMAGE, LABEL, NUMBER, PARENT, SEED, Feeds, count_rows
from ops.generators.folder import read_config
from ops.generators.imaginable import DeviceKind, ImaginingKind
from ops.generators.levels import to_pixels
from ops.generators.registry import KINDS
from ops.generators.torch_drawer import stay_on_cpu
from ops.generators.units import Unit
from ops.imagination.blocks import Blocks
from ops.imagination.guide import NotFinite
from ops.imagination.imagining import Imagination
from ops.imagination.protocols import CheckedPrior, Prior, PromptedPrior, Scorer, Statistics
from ops.imagination.scorers import CrossFittedScorer, OnHost
from ops.judging.scorer import load_scorer
from ops.recipe.kinds import KINDS as SECTIONS
from ops.recipe.sampler import SamplerSettings

INPUTS = (IMAGE, LABEL, PARENT, NUMBER, SEED)
_ANEW = (
    "the prior itself makes no finite latent of it: train it anew, at a lower learning_rate, or set the precision of a"
    " pipeline to fp32"
)
ADVICE = {  # where something is not finite, by the mode
    "guided": "lower step_size or radius",
    "random": "lower radius",
    "prior": _ANEW,
    "overdraw": _ANEW,
}


@dataclass(frozen=True)
class _Made:
    """The images uint8 [n, H, W, C] of a block, and their columns, [n] or [n, d]."""

    key: tuple[str, int, int, int]  # parent, label, seed, number of the block
    pixels: np.ndarray
    columns: dict[str, np.ndarray]


class ImaginingDrawer:
    """A `RecordingDrawer` on `device`; `batch_size` only sets how many feeds are made at a time."""

    def __init__(self, blocks: Blocks, info: SamplerInfo, mode: str, device: str, batch_size: int) -> None:
        self.info, self.batch_size, self.blocks = info, batch_size, blocks
        self._mode, self._device = mode, device
        self._last: _Made | None = None

    def with_batch_size(self, batch_size: int) -> ImaginingDrawer:
        """Another drawer with the same networks, for another thread too."""
        other = copy.copy(self)
        other.batch_size, other._last = batch_size, None
        return other

    def draw(self, feeds: Feeds) -> np.ndarray:
        """Images uint8 [n, H, W, C]; ValueError for other inputs."""
        return self.draw_recorded(feeds)[0]

    def draw_recorded(self, feeds: Feeds) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The images, and how each came about (`imagined_rows`). UserError where a latent or a gradient is infinite."""
        if set(feeds) != set(INPUTS):
            raise ValueError(f"the drawer takes {', '.join(INPUTS)}; it is fed {', '.join(feeds)}")
        if not count_rows(feeds):
            raise ValueError("the drawer is fed no row")
        pixels, rows = [], []
        for row in range(count_rows(feeds)):
            number, place = divmod(int(feeds[NUMBER][row]), self.blocks.size)
            made = self._find(feeds, row, number)
            pixels.append(made.pixels[place])
            rows.append({name: values[place] for name, values in made.columns.items()})
        return np.stack(pixels), {name: np.stack([each[name] for each in rows]) for name in rows[0]}

    def _find(self, feeds: Feeds, row: int, number: int) -> _Made:
        key = str(feeds[PARENT][row]), int(feeds[LABEL][row]), int(feeds[SEED][row]), number
        if self._last is None or self._last.key != key:
            self._last = self._make(key, feeds[IMAGE][row])
        return self._last

    def _make(self, key: tuple[str, int, int, int], image: np.ndarray) -> _Made:
        parent, label, seed, number = key
        blocks = replace(self.blocks, imagination=replace(self.blocks.imagination, seed=seed))
        levels = torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255
        unit, prior = Unit(parent, label, parent), blocks.imagination.prior
        try:
            block = blocks.make(levels.to(self._device), unit, number)
        except NotFinite as error:
            raise UserError(f"sampler.imagination: {error}; {ADVICE[self._mode]}") from None
        block = replace(block, variants=block.variants.to("cpu"))
        pixels: np.ndarray = to_pixels(block.variants.images * 2 - 1).numpy()
        prompts = None
        if isinstance(prior, PromptedPrior):
            prompts = prior.write_prompts(blocks.imagination.ask(unit, block.numbers.tolist()))
        checked = isinstance(prior, CheckedPrior) and prior.is_checked
        columns = list_columns(block, parent, number * blocks.size, self._mode, prompts, checked=checked)
        return _Made(key, pixels, columns)


@dataclass(frozen=True)
class ImaginedFile:
    """A `DrawerSpec` of the generator in the folder of `path`, which may be exported or not.

    sampler : with a number for its strength; its `imagination` is not read, `imagining` takes its place, and without it
    every drawer has a hash, by which workers keep the last one. scorer : the folder of that stage. shards : of the
    training images, in order, which the scorer's folds refer to. data : statistics of these images, for presets that
    normalise by them. judge : takes the place of the stage's scorer.
    """

    path: Path
    sampler: SamplerSettings
    imagining: Imagining
    scorer: Path
    shards: tuple[Path, ...]
    data: Statistics | None = None
    judge: OtherScorer | None = None
    uses_torch: ClassVar[bool] = True

    def read_info(self) -> SamplerInfo:
        config = read_config(self.path.parent)
        return SamplerInfo(
            class_names=tuple(config["class_names"]),
            shape=(config["channels"], config["height"], config["width"]),
            solver=self.sampler.solver,
            steps=self.sampler.steps,
            inputs=INPUTS,
            together=self.imagining.group,
            records=True,
        )

    def choose_provider(self, wanted: str, *, allow_fallback: bool) -> str:
        """See `choose_device`."""
        return choose_device(self.path.parent, wanted, allow_fallback=allow_fallback)

    def open(self, provider: str, batch_size: int) -> ImaginingDrawer:
        """DamagedData for a scorer of other images."""
        return ImaginingDrawer(self.open_blocks(provider), self.read_info(), self.imagining.mode, provider, batch_size)

    def open_blocks(self, device: str = "cpu") -> Blocks:
        """What makes the variants; the seed is that of each row."""
        folder = self.path.parent
        kind = _find_kind(folder)
        if isinstance(kind, DeviceKind):
            prior = kind.open_prior_on(folder, self.sampler, device)
        else:
            prior = kind.open_prior(folder, self.sampler)
        return self.build_blocks(prior, self._open_scorer(device))

    def build_blocks(self, prior: Prior, scorer: Scorer) -> Blocks:
        """The same of networks that are open."""
        settled, rows = self.imagining, SECTIONS[read_config(self.path.parent)["kind"]].rows
        imagination = Imagination(
            prior,
            scorer,
            settled.preset,
            "prior" if settled.mode == "overdraw" else settled.mode,
            data=self.data,
            rows=min(settled.group, rows),
        )
        return Blocks(imagination, settled.group, settled.draws)

    def _open_scorer(self, device: str) -> Scorer:
        ids = read_rows(self.shards)["image_id"].to_list()
        if self.judge is not None:
            judge = self.judge.open(self.path.parent, ids)
            return judge if device == "cpu" else OnHost(judge)
        found = load_scorer(self.scorer)
        if len(ids) != len(found.folds):
            raise DamagedData(f"{self.scorer} was trained on {len(found.folds)} images, and there are {len(ids)}")
        models = [model.requires_grad_(False).to(device) for model in found.models]
        return CrossFittedScorer(models, found.temperature, dict(zip(ids, found.folds.tolist(), strict=True)))


def choose_device(generator: Path, wanted: str, *, allow_fallback: bool) -> str:
    """`cpu`, or where a pipeline draws; EnvironmentFault if CUDA is wanted and not possible, unless `allow_fallback`.

    `generator` : a generator's directory, which may be exported or not.
    """
    kind = _find_kind(generator)
    if isinstance(kind, DeviceKind):
        return kind.find_drawer(generator).choose_provider(wanted, allow_fallback=allow_fallback)
    return stay_on_cpu(wanted, allow_fallback=allow_fallback)


def _find_kind(generator: Path) -> ImaginingKind:
    kind = KINDS[read_config(generator)["kind"]]
    assert isinstance(kind, ImaginingKind)  # the recipe's check has seen to it
    return kind


def read_imagined(generator_onnx: Path, scorer: Path, shards: Sequence[Path]) -> ImaginedFile:
    """The drawer that imagines with an exported generator, by the imagination.json beside it."""
    path = generator_onnx / IMAGINATION
    found = read_json(path)
    data = found["statistics"]
    return ImaginedFile(
        path,
        SamplerSettings.model_validate(found["sampler"]),
        restore(found),
        scorer,
        tuple(shards),
        None if data is None else Statistics(tuple(data["mean"]), tuple(data["deviation"])),
        read_judge(generator_onnx),
    )
