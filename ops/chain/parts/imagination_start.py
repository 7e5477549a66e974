"""What is asked before anything is imagined: does the scorer know the classes, and does its score have a gradient?

A scorer near chance guides nowhere. Then guidance is off, unless the recipe forces it, and the output says so. A score
without a gradient is a fault of prior or scorer, and nothing is drawn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ops.chain.parts.imagination_scorers import AT_ONCE, OtherScorer, prepare_scorer, store_judge
from ops.chain.parts.imagined_drawer import ImaginedFile
from ops.chain.parts.imagining_preset import build_preset, settle
from ops.chain.parts.variant_gate import choose_places
from ops.datasets.axes import to_nchw
from ops.datasets.pixels import PixelDataset
from ops.files.outputs import IMAGINATION, IMAGINATION_FACTS, IMAGINATION_SHEET
from ops.files.storage import write_json
from ops.generators.diffusion.classes import compare_classes
from ops.generators.folder import CONFIG, read_config
from ops.generators.levels import to_pixels
from ops.generators.units import Unit
from ops.imagination.gradient_check import check_gradients
from ops.imagination.imagining import Imagination
from ops.imagination.presets import Preset, find_statistics
from ops.imagination.protocols import Statistics
from ops.imagination.scorer_check import ScorerCheck, check_scorer
from ops.judging.scorer import load_scorer
from ops.machine.parallel import start_threads
from ops.machine.progress import Sink
from ops.pictures.sheets import write_sheet
from ops.planning.imagining import SLOWLY_SHOWN
from ops.recipe.imagination import ASKS, LEADING, ImaginationSettings
from ops.recipe.kinds import KINDS
from ops.recipe.sampler import DRAWS_WITH, SamplerSettings

JUDGED = 1_000  # training images that another scorer than the stage's is asked about, at most
TRIED = 0.8  # the strength of the self-test where it is still to be chosen
FLAT = 1 / 255  # the least standard deviation of a channel to divide by


@dataclass(frozen=True)
class Effort:
    """tested : seed images of the self-test. shown : classes on the sheet. timed : blocks of which the median is taken,
    after one that is not counted where there are several."""

    tested: int
    shown: int
    timed: int


USUAL, SLOW = Effort(3, 10, 3), Effort(1, SLOWLY_SHOWN, 1)  # the last: of generators that draw slowly, in torch


@dataclass(frozen=True)
class Start:
    """What was found: the sampler with the mode in effect, the statistics that its preset needs, and why guidance is
    off, where it is; and where images are made, with which effort."""

    asked: SamplerSettings
    sampler: SamplerSettings
    check: ScorerCheck
    data: Statistics | None
    why: str | None
    scorer: Path
    shards: tuple[Path, ...]
    classes: int
    device: str
    effort: Effort
    judge: OtherScorer | None = None

    def place(self, folder: Path, sampler: SamplerSettings | None = None) -> ImaginedFile:
        """The drawer of the generator in `folder`, with another sampler if given."""
        sampler = sampler or self.sampler
        assert sampler.imagination is not None
        imagining = settle(sampler.imagination, self.classes)
        bare = sampler.model_copy(update={"imagination": None})  # a scorer's names of classes have no hash
        return ImaginedFile(folder / CONFIG, bare, imagining, self.scorer, self.shards, self.data, self.judge)


def start_imagination(
    generator: Path,
    sampler: SamplerSettings,
    scorer: Path,
    shards: Sequence[Path],
    train: PixelDataset,
    *,
    root: Path,
    scratch: Path,
    sink: Sink,
    device: str = "cpu",
) -> Start:
    """Check the order of classes, the scorer and the gradient.

    generator : a generator's directory. scorer : the folder of that stage. root : of the workspace. scratch : where the
    numbers of another scorer are kept until the generator is exported. UserError for a generator with other classes
    than the training images, and for a score without a gradient.
    """
    assert sampler.imagination is not None
    compare_classes(train.class_names, read_config(generator)["class_names"], "the generator", "the training images")
    with start_threads():
        judge = prepare_scorer(
            sampler.imagination.scorer, generator=generator, scorer=scorer, train=train, root=root, scratch=scratch
        )
        asked, why, data = sampler.imagination, None, _find_statistics(sampler.imagination, train)
        if judge is None:
            check = _check_scorer(scorer, train)
        else:
            check = _check_judge(judge, generator, train, build_preset(asked), data)
        sink(f"generator_onnx: {check.describe()}")
        settings = asked
        if asked.mode in ASKS and check.is_near_chance and not asked.force:
            settings = asked.drop_scorer()
            why = f"{check.describe()}; mode: {settings.mode} takes the place of {asked.mode}, unless force: true"
            sink(f"generator_onnx: {why}")
        effective = sampler.model_copy(update={"imagination": settings})
        classes = len(train.class_names)
        effort = SLOW if KINDS[read_config(generator)["kind"]].in_torch else USUAL
        start = Start(sampler, effective, check, data, why, scorer, tuple(shards), classes, device, effort, judge)
        if settings.mode == "guided":
            strength = TRIED if sampler.strength == "auto" else sampler.strength
            placed = start.place(generator, effective.model_copy(update={"strength": strength}))
            blocks = placed.open_blocks(device)
            seeds = _take_seeds(train, effort.tested, device)
            check_gradients(blocks.imagination, *seeds, blocks.size)
    return start


def write_imagination(folder: Path, start: Start, sampler: SamplerSettings, train: PixelDataset, *, seed: int) -> None:
    """What images are drawn with, what is known about it, and a sheet, beside the exported generator; `sampler` is that
    of `start` with a number for its strength. `seed` : of the images that will be drawn, which the sheet shows some of.

    Images follow from the first file alone. Whatever else may change, such as the scorer's figures or how the recipe
    put it, is in the second.
    """
    settings, asked = sampler.imagination, start.asked.imagination
    assert settings is not None and asked is not None
    check, named, drawer = start.check, build_preset(settings), start.place(folder, sampler)
    opened = drawer.open_blocks(start.device).imagination
    told, known = ({}, {}) if start.judge is None else store_judge(start.judge, folder)
    drawn_with = {
        **drawer.imagining.describe(opened.prior.latent_shape),
        **told,
        "sampler": sampler.model_dump(mode="json", include=set(DRAWS_WITH)),
        "statistics": None if start.data is None else start.data._asdict(),
    }
    write_json(folder / IMAGINATION, drawn_with)
    ways, shown = draw_ways(folder, start, sampler, opened, train, seed)
    found = {
        "mode": settings.mode,
        "asked": asked.mode,
        "why": start.why,
        "preset": settings.preset,
        "unverified": list(named.unverified),
        **known,
        **({} if settings.profile is None else {"profile": settings.profile}),
        "scorer": {
            "sentence": check.describe(),
            "near_chance": check.is_near_chance,
            **{key: round(getattr(check, key), 6) for key in ("overall", "chance", "skill", "low")},
            "weak": [train.class_names[label] for label in check.list_weak()],
        },
        "ways": ways,
        "shown": shown,
    }
    write_json(folder / IMAGINATION_FACTS, found)


def draw_ways(
    folder: Path, start: Start, sampler: SamplerSettings, opened: Imagination, train: PixelDataset, seed: int
) -> tuple[list[str], list[str]]:
    """Write a sheet with a row for each of the first classes; the names of its columns and of these classes.

    A row has the first training image of its class, then one variant of it, at random in its first group, in each of
    the modes that lead up to the one in effect. `opened` : with the networks that draw.
    """
    assert sampler.imagination is not None
    modes = LEADING[sampler.imagination.mode]
    images, units = _take_seeds(train, start.effort.shown, start.device)
    columns = [to_pixels(images.cpu() * 2 - 1).numpy()]
    with start_threads():
        for mode in modes:
            settings = sampler.imagination.with_mode(mode)
            placed = start.place(folder, sampler.model_copy(update={"imagination": settings}))
            blocks = placed.build_blocks(opened.prior, opened.scorer)
            blocks = replace(blocks, imagination=replace(blocks.imagination, seed=seed))
            made = []
            for image, unit in zip(images, units, strict=True):
                (place,) = choose_places(unit.key, blocks.size, 1)
                made.append(blocks.make(image, unit, 0).variants.images[place].cpu())
            columns.append(to_pixels(torch.stack(made) * 2 - 1).numpy())
    write_sheet(folder / IMAGINATION_SHEET, list(np.stack(columns, axis=1)))
    return ["seed image", *modes], [train.class_names[unit.label] for unit in units]


@dataclass(frozen=True)
class Timing:
    """Seconds of an imagined image, and of the prior's own variant in torch, on one core or on the GPU."""

    own: float
    plain: float
    where: str

    def describe(self) -> str:
        """One sentence without a full stop."""
        more = 100 * (self.own / self.plain - 1)
        took = f"an imagined image takes {self.own:.3g} s on {self.where}"
        return f"{took}, {more:.0f} % more than the prior's own in torch"


def time_imagination(drawer: ImaginedFile, train: PixelDataset, start: Start) -> Timing:
    """The prior's own is varied and decoded alike, in torch, and not scored.

    The figures differ from run to run, so they are told and no output holds them.
    """
    with start_threads():
        blocks, (images, units) = drawer.open_blocks(start.device), _take_seeds(train, 1, start.device)
        imagination, ks = blocks.imagination, range(blocks.size)
        guide = imagination.guide(images[0], units[0], ks)
        ways: list[Callable[[], Any]] = [
            lambda: blocks.make(images[0], units[0], 0),
            lambda: guide.finish(imagination.encode(images[0], units[0], ks))[0].cpu(),
        ]
        seconds = [[_time(way) for way in ways] for _ in range(start.effort.timed + (start.effort.timed > 1))]
    own, plain = (np.median(seconds[-start.effort.timed :], axis=0) / blocks.size).tolist()
    return Timing(own, plain, "one core" if start.device == "cpu" else "the GPU")


def _check_scorer(folder: Path, train: PixelDataset) -> ScorerCheck:
    """Each training image judged by the network that did not see it."""
    scorer = load_scorer(folder)
    answers = scorer.examine(torch.from_numpy(to_nchw(train.images)), scorer.folds)[0]
    return check_scorer(answers.argmax(1), train.labels, len(train.class_names))


def _check_judge(
    judge: OtherScorer, generator: Path, train: PixelDataset, preset: Preset, data: Statistics | None
) -> ScorerCheck:
    """Training images judged by another scorer: of a large set the first of each class, since CLIP takes long.

    It is asked as the preset shows it seed images and variants; the worse counts. data : as for `find_statistics`.
    """
    ids, classes = train.rows["image_id"].to_list(), len(train.class_names)
    most = max(1, JUDGED // classes)
    rows = np.concatenate([np.flatnonzero(train.labels == label)[:most] for label in range(classes)])
    opened = judge.open(generator, ids)

    def check(statistics: Statistics | None) -> ScorerCheck:
        predictions = []
        for part in np.array_split(rows, np.arange(AT_ONCE, len(rows), AT_ONCE)):
            images = torch.from_numpy(to_nchw(train.images[part])).float() / 255
            answer = opened.answer(images, [ids[row] for row in part], statistics)
            predictions.append(answer.log_probabilities.argmax(1).numpy())
        return check_scorer(np.concatenate(predictions), train.labels[rows], classes)

    inputs = dict.fromkeys(find_statistics(wanted, data) for wanted in (preset.seed_input, preset.variant_input))
    with torch.no_grad():
        return min((check(statistics) for statistics in inputs), key=lambda each: each.low)


def _find_statistics(settings: ImaginationSettings, train: PixelDataset) -> Statistics | None:
    """Mean and deviation of each channel of the training images in 0..1, for presets that need them."""
    preset = build_preset(settings)
    if "data" not in (preset.seed_input, preset.variant_input):
        return None
    # From the counts of the 256 levels, so that no image is copied.
    levels = np.arange(256) / 255
    counts = np.stack([np.bincount(train.images[..., i].ravel(), minlength=256) for i in range(train.images.shape[3])])
    shares = counts / counts.sum(1, keepdims=True)
    mean = shares @ levels
    deviation = np.maximum(np.sqrt((shares * (levels - mean[:, None]) ** 2).sum(1)), FLAT)
    return Statistics(tuple(mean.round(6).tolist()), tuple(deviation.round(6).tolist()))


def _take_seeds(train: PixelDataset, count: int, device: str) -> tuple[torch.Tensor, list[Unit]]:
    """The first training image of each of the first classes, in 0..1: float32 [n, C, H, W], n at most `count`."""
    rows = np.unique(train.labels, return_index=True)[1][:count].tolist()
    ids = train.rows["image_id"].to_list()
    images = torch.from_numpy(to_nchw(train.images[rows])).float() / 255
    return images.to(device), [Unit(ids[row], int(train.labels[row]), ids[row]) for row in rows]


def _time(way: Callable[[], Any]) -> float:
    started = time.perf_counter()
    way()
    return time.perf_counter() - started
