"""What is known of an expansion before it runs: its images, what is not current, and how fast this machine is.

Nothing is printed here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ops.chain.contents import read_contents
from ops.chain.driver import FIRST, validate
from ops.chain.parts.pools import open_pool
from ops.chain.real_images import bound_growing, describe_source, describe_unlabelled, read_labelled
from ops.chain.updating import find_downstream
from ops.datasets.folds import LARGE
from ops.datasets.unlabelled import CLASS_NAME
from ops.files.outputs import POLICY, RESULTS
from ops.files.storage import read_json
from ops.machine.parallel import available_cores
from ops.machine.progress import Sink
from ops.planning.cost import Images, estimate_rest, estimate_seconds
from ops.planning.counting import Counted, count_source
from ops.planning.floors import find_lack
from ops.planning.plan import ExpansionPlan, plan_expansion, require_growth
from ops.planning.resolution import Resolution, find_resolution, warn_of_resolution
from ops.planning.speeds import Speeds, guess_speeds
from ops.planning.work import Work, count_work, settle_expected
from ops.recipe.design import warn_of_seeds
from ops.recipe.prior import PoolSettings
from ops.recipe.schema import Recipe
from ops.recipe.settling import TrainingPolicy, read_policy
from ops.recipe.stages import STAGES
from ops.sources.pool import count_pool
from ops.stages.materialization import find_staleness
from ops.verdict.metric import choose_metric
from ops.workspaces.workspace import Workspace


@dataclass(frozen=True, eq=False)
class Prospect:
    """What is known of an expansion without timing: its images, its stages that are not current, and what was chosen.

    policy: the choice of the search, if that is current. errors: of the best arm on validation, if that is known.
    pool: images of the prior's pool, before its own splits are drawn; None without a prior.
    """

    expansion: str
    recipe: Recipe
    counted: Counted
    plan: ExpansionPlan
    stale: list[str]
    policy: TrainingPolicy | None
    errors: float | None
    cores: int
    pool: int | None = None

    @property
    def resolution(self) -> Resolution:
        settings = self.recipe.verdict
        metric = settings.metric or choose_metric(self.counted.images["train"].tolist())
        images = self.counted.images
        test = images["test"] if settings.folds is None else np.sum(list(images.values()), axis=0)
        known = self.counted.groups
        groups = (known.get("test") if settings.folds is None else sum(known.values())) or None
        return find_resolution(test, metric, confidence=settings.confidence, errors=self.errors, groups=groups)

    def list_warnings(self) -> list[str]:
        """A sentence on each thing that makes a verdict or a generator unlikely."""
        lack = find_lack(self.recipe.data, self.counted)
        few = None if lack is None else f"{lack}; `growset run` asks for --force"
        found = (few, warn_of_resolution(self.resolution, self.recipe.verdict.folds), self._warn_of_seeds())
        return [warning for warning in found if warning]

    def _warn_of_seeds(self) -> str | None:
        return warn_of_seeds(self.recipe.classifier.seeds, self.recipe.verdict.folds)


@dataclass(frozen=True, eq=False)
class Pace:
    """The speeds of this machine, guessed or measured, and what they mean for a recipe."""

    speeds: Speeds
    prospect: Prospect
    root: Path

    def estimate(self, recipe: Recipe, policy: TrainingPolicy | None) -> tuple[dict[str, float], float]:
        """Seconds per stage, and of all the rest."""
        seen, cores = self.prospect, self.prospect.cores
        images = Images(sum(seen.counted.totals.values()), seen.counted.totals["test"], seen.pool or 0)
        work = _count_work(seen, recipe, policy)
        seconds = estimate_seconds(recipe, work, seen.plan, self.speeds, images, cores)
        return seconds, estimate_rest(seen.stale, images)

    def count_rest(self, seconds: Mapping[str, float], rest: float) -> float:
        """Seconds that are to do, of those that `estimate` gives: stages that are current cost nothing."""
        return rest + sum(value for stage, value in seconds.items() if stage in self.prospect.stale)


def look_ahead(workspace: Workspace, expansion: str) -> Prospect:
    """Read the recipe and the labels of its source; no image but three. UserError as a run would raise."""
    recipe = workspace.load_recipe(expansion)
    counted = count_source(describe_source(workspace, recipe), recipe.data, recipe.seed)
    return foresee(workspace, expansion, recipe, counted)


def foresee(workspace: Workspace, expansion: str, recipe: Recipe, counted: Counted) -> Prospect:
    others = describe_unlabelled(workspace, recipe)
    grown, names = counted.images["train"], counted.class_names
    if others is not None:  # those of another source that are labelled too are not known before they are read
        bound = bound_growing(int(grown.sum()), describe_source(workspace, recipe), others)
        grown, names = np.array([bound]), (CLASS_NAME,)
    plan = plan_expansion(grown, names, recipe.plan)
    require_growth(plan, recipe.plan)
    stale = _find_stale(workspace, expansion, recipe)
    policy = errors = None
    if "training_policy" not in stale:
        policy = read_policy(read_json(workspace.output(expansion, "training_policy") / POLICY))
    if "baseline_classifiers" not in stale:
        arms = read_json(workspace.output(expansion, "baseline_classifiers") / RESULTS)["arms"]
        errors = 1 - max(arm["validation"] for arm in arms.values())
    pool = None
    if isinstance(recipe.prior, PoolSettings):
        pool = count_pool(open_pool(workspace, recipe.prior.pool, recipe.source))
    return Prospect(expansion, recipe, counted, plan, stale, policy, errors, available_cores(), pool)


def read_exactly(workspace: Workspace, seen: Prospect) -> Prospect:
    """The same after the source has been read as a run reads it; UserError or DamagedData as a run would raise."""
    recipe = validate(workspace, seen.expansion)
    if seen.counted.is_exact:
        return seen
    splits = read_labelled(workspace, recipe).splits
    train = splits["train"]
    images = {split: np.bincount(data.labels, minlength=len(train.class_names)) for split, data in splits.items()}
    height, width, channels = train.images.shape[1:]
    counted = Counted(train.class_names, images, (height, width, channels), True, seen.counted.groups)
    return foresee(workspace, seen.expansion, recipe, counted)


def guess_pace(workspace: Workspace, seen: Prospect) -> Pace:
    """Speeds from the sizes of the networks."""
    work, shape = _count_work(seen, seen.recipe, seen.policy), to_chw(seen.counted.shape)
    settled = settle_expected(seen.recipe, seen.policy)
    return Pace(guess_speeds(settled, work.units, shape, workspace.root, seen.cores), seen, workspace.root)


def measure_pace(workspace: Workspace, seen: Prospect, sink: Sink) -> Pace:
    """Speeds from real steps; a line of progress for each kind of them."""
    from ops.planning.timing import measure_speeds  # loads torch, after the first lines

    work, shape = _count_work(seen, seen.recipe, seen.policy), to_chw(seen.counted.shape)
    classes = len(seen.counted.class_names)
    settled = settle_expected(seen.recipe, seen.policy)
    speeds = measure_speeds(settled, work.units, shape, classes, workspace.root, seen.cores, sink)
    return Pace(speeds, seen, workspace.root)


def _find_stale(workspace: Workspace, expansion: str, recipe: Recipe) -> list[str]:
    """Stages that a run has to compute. What DVC alone has to record costs nothing, so it is not asked."""
    contents = read_contents(workspace, recipe) if workspace.output(expansion, FIRST).exists() else {}
    differ = [stage for stage in STAGES if find_staleness(workspace, expansion, stage, recipe, contents.get(stage))]
    downstream = find_downstream(differ)
    return [stage for stage in STAGES if stage in downstream]


def _count_work(seen: Prospect, recipe: Recipe, policy: TrainingPolicy | None) -> Work:
    folds = 1 if seen.counted.totals["validation"] >= LARGE else recipe.tuning.folds
    return count_work(recipe, seen.plan, seen.counted.shape, folds, policy)


def to_chw(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    return shape[2], shape[0], shape[1]
