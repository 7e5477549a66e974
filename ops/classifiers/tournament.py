"""Train every arm fairly: choose its settings on validation at one seed, then train the same paired seeds for all.

It sees training and validation images only; test images are for the verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ops.classifiers.examples import Examples
from ops.classifiers.losses import LOSSES
from ops.classifiers.racing import LeftOut, race, unpack_bits
from ops.classifiers.runs import Contest, Result, Run, train_runs
from ops.classifiers.samplers import SAMPLERS
from ops.machine.progress import Progress
from ops.recipe.arms import Arm
from ops.recipe.grid import GridSettings, Setting, set_numbers
from ops.recipe.ingredients.losses import PlainLoss
from ops.recipe.ingredients.samplers import UniformSampler
from ops.recipe.ingredients.unlabelled import PseudoLabels


@dataclass(frozen=True)
class Tournament:
    """The result of a tournament, by arm.

    chosen : the setting that is best on validation at the seed at which settings are tried.
    tried : the runs of that seed, one for each of the arm's settings, in the grid's order.
    final : the runs of the chosen setting, one for each seed, of the arms that were not left out.
    left_out : arms that were far behind at that seed, and by how much.
    """

    chosen: Mapping[str, Setting]
    tried: Mapping[str, Sequence[Result]]
    final: Mapping[str, Sequence[Result]]
    left_out: Mapping[str, LeftOut]

    @property
    def trainings(self) -> int:
        """How many networks were trained."""
        return len({result.run for results in (*self.tried.values(), *self.final.values()) for result in results})


def find_aliases(arms: Mapping[str, Arm], examples: Examples, grid: GridSettings) -> dict[str, str]:
    """Arms that equal an earlier arm because their sampler or loss has no effect on this set, e.g. oversampled = real.

    It must have no effect at any setting that the grid tries. Arms are equal too if they differ only in numbers for
    which the grid tries the same values, or in a strength or preset that stands for what the other arm spells out.
    """
    seen: dict[object, str] = {}
    aliases, is_expanded = {}, examples.is_generated is not None
    for name, arm in arms.items():
        variants = [set_numbers(arm, setting) for setting in grid.list_settings(arm, is_expanded=is_expanded)]
        plain = _drop_idle(arm, [arm, *variants], examples).spell_out()
        settings = grid.list_settings(plain, is_expanded=is_expanded)
        tried = tuple((set_numbers(plain, setting), setting) for setting in settings)
        aliases[name] = seen.setdefault(tried, name)
    return {name: arm for name, arm in aliases.items() if arm != name}


def _drop_idle(arm: Arm, variants: Sequence[Arm], examples: Examples) -> Arm:
    """The arm without its sampler or loss where that declares to have no effect in any of the variants.

    What pseudo-labels add is not among the examples, and its classes need not be equally large. Nor are the classes of
    the images that no teacher labels as large as those of all, to which the loss is.
    """
    if isinstance(arm.unlabelled, PseudoLabels):
        return arm
    sampler, loss = SAMPLERS[arm.sampler.kind], LOSSES[arm.loss.kind]
    changes: dict[str, Any] = {}
    tried = [(variant, examples.list_sizes(variant)) for variant in variants]
    if all(sampler.equals_uniform(variant.sampler, each) for variant, sizes in tried for each in sizes):
        changes["sampler"] = UniformSampler()
    if not any(getattr(variant.targets, "weight", 0.0) == 1 for variant in variants) and all(
        loss.equals_plain(variant.loss, each, sampler.list_shown(variant.sampler, each))
        for variant, sizes in tried
        for each in sizes
    ):
        changes["loss"] = PlainLoss()
    return arm.model_copy(update=changes)


def find_common_aliases(arms: Mapping[str, Arm], training: Sequence[Examples], grid: GridSettings) -> dict[str, str]:
    """The aliases of `find_aliases` that hold on every training set."""
    first, *others = [find_aliases(arms, examples, grid) for examples in training]
    return {alias: arm for alias, arm in first.items() if all(other.get(alias) == arm for other in others)}


def choose_setting(results: Sequence[Result]) -> Setting:
    """The setting that is best on validation; the earlier in the grid wins a tie."""
    return max(results, key=lambda result: result.validation).run.setting


def hold_tournament(contest: Contest, *, workers: int, progress: Progress, before: int = 0) -> Tournament:
    """Train the grid at one seed, then the remaining seeds at each arm's chosen setting.

    `before` runs count as done in `progress`.
    """
    trying = contest.trying_seed
    grid = {name: [Run(name, setting, trying) for setting in contest.list_settings(name)] for name in contest.arms}
    done = train_runs(contest, [run for runs in grid.values() for run in runs], workers, progress, before)
    tried = {name: [done[run] for run in runs] for name, runs in grid.items()}
    chosen = {name: choose_setting(results) for name, results in tried.items()}
    best = {name: done[Run(name, setting, trying)] for name, setting in chosen.items()}
    answers = {name: unpack_bits(result.bits) for name, result in best.items()}
    left_out = race(
        contest.arms,
        answers,
        contest.validation[1],
        contest.metric,
        contest.settings.race,
        contest.needed,
        contest.seeing,
        contest.units,
    )
    seeds = [seed for seed in contest.seeds if seed != trying]
    kept = {name: setting for name, setting in chosen.items() if name not in left_out}
    counted = before + len(done) + len(left_out) * len(seeds)
    later = train_seeds(contest, kept, seeds, workers=workers, progress=progress, before=counted)
    first = {name: [best[name]] * (trying in contest.seeds) for name in kept}
    return Tournament(chosen, tried, {name: [*first[name], *later[name]] for name in kept}, left_out)


def train_seeds(
    contest: Contest,
    chosen: Mapping[str, Setting],
    seeds: Sequence[int],
    *,
    workers: int,
    progress: Progress,
    before: int = 0,
) -> dict[str, list[Result]]:
    """Results by arm of more seeds, in their order, at each arm's `chosen` setting.

    `before` runs count as done in `progress`.
    """
    runs = [Run(name, setting, seed) for name, setting in chosen.items() for seed in seeds]
    done = train_runs(contest, runs, workers, progress, before)
    return {name: [done[run] for run in runs if run.arm == name] for name in chosen}


def count_runs(contest: Contest) -> int:
    """The number of trainings of a tournament."""
    judged = len(contest.seeds) - (contest.trying_seed in contest.seeds)
    return sum(len(contest.list_settings(name)) + judged for name in contest.arms)
