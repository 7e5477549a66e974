"""Training images per second: the stage's own training loop against the one a user would otherwise write.

Ours is the demo's flow through `learn` and `DenoisingSteps`, as the stage runs it: classes balanced, averaged weights,
checkpoints written. The plain side is `benchmarks.parts.plain`. The two differ in resolution (14 x 14 after the
unshuffle against 28 x 28), depth (one layer per block and no attention against diffusers' defaults), number format and
loop; the rows at full resolution and in fp32 show the gain of resolution and number format. The benchmark does not know
the value of a training image: `growset bench quality` compares quality at equal minutes.

torch.compile is tried in the same loop on one core; its first call is a row of its own.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.parts.engines import find_absent
from benchmarks.parts.harness import Row, interleave, use_cores, write_result
from benchmarks.parts.plain import build_plain_unet, train_plainly
from benchmarks.parts.untrained import CLASSES, SHAPE, build_untrained
from ops.generators.denoising.learning import learn
from ops.generators.denoising.steps import DenoisingSteps
from ops.generators.kinds.flow import Flow
from ops.machine.parallel import available_cores, start_threads, use_threads
from ops.machine.precision import resolve_precision
from ops.recipe.denoisers import FlowSettings
from ops.training.checkpoint import Checkpoints
from ops.training.microbatches import InParts

IMAGES, BATCH = 1_000, 128
STEPS, PLAIN_STEPS, ROUNDS = 10, 2, 5
FULL = "ours, full resolution, fp32"
LOADERS = (0, 2)  # worker processes of the plain side's DataLoader

Side = tuple[Callable[[], object], int]
"""A piece of training, and its steps."""


def run(steps: int = STEPS, plain_steps: int = PLAIN_STEPS, rounds: int = ROUNDS) -> Path:
    """Measure, write results/training.json."""
    torch.manual_seed(0)
    cores, auto = available_cores(), resolve_precision("auto")
    ours = {f"ours, {precision}": train_ours(precision, steps) for precision in dict.fromkeys((auto, "fp32"))}
    plain = {f"plain diffusers fp32, {loaders} loaders": train_plain(plain_steps, loaders) for loaders in LOADERS}
    compiled, compiling, absent = {}, {}, {name: why for name, why in find_absent().items() if name == "torch.compile"}
    with use_cores(1):
        if not absent:
            for precision in dict.fromkeys((auto, "fp32")):
                side = train_ours(precision, steps, compile_network=True)
                compiling[f"torch.compile, {precision}, first call"] = time_first_call(side)
                compiled[f"ours compiled, {precision}"] = side
        full = {FULL: train_ours("fp32", steps=max(1, steps // 5), unshuffle=1)}
        one = measure_rates({**ours, **compiled, **full, **plain}, rounds)
    rows = [Row(f"{name}, one core", rate, "images/s") for name, rate in one.items()]
    ratios = {
        "training_vs_default_unet": one[f"ours, {auto}"] / max(one[name] for name in plain),
        "training_auto_vs_fp32": one[f"ours, {auto}"] / one["ours, fp32"],
        "training_fp32_vs_full_resolution": one["ours, fp32"] / one[FULL],
        "training_full_resolution_vs_default_unet": one[FULL] / max(one[name] for name in plain),
        **{
            f"compiled_vs_eager_{name.split(', ')[1]}": one[name] / one[name.replace(" compiled", "")]
            for name in compiled
        },
    }
    if cores > 1:
        # New loaders, because those above stay on the one core.
        plain = {f"plain diffusers fp32, {loaders} loaders": train_plain(plain_steps, loaders) for loaders in LOADERS}
        with use_cores(cores):
            every = measure_rates({**ours, **plain}, rounds)
        rows += [Row(f"{name}, {cores} cores", rate, "images/s") for name, rate in every.items()]
        ratios["training_vs_default_unet_all_cores"] = every[f"ours, {auto}"] / max(every[name] for name in plain)
    rows += [Row(name, round(seconds, 1), "s") for name, seconds in compiling.items()]
    return write_result(
        "training",
        rows,
        ratios,
        parameters={
            "ours": count_parameters(build_untrained().network),
            "plain": count_parameters(build_plain_unet()),
        },
        batch_size=BATCH,
        absent=absent,
    )


def train_ours(precision: str, steps: int, *, unshuffle: int = 2, compile_network: bool = False) -> Side:
    """The stage's loop on the demo's flow, from the start each time, checkpoint and averaged weights written."""
    network = build_untrained(unshuffle=unshuffle).network.train()
    settings = FlowSettings(steps=steps, batch_size=BATCH)
    images, labels = make_images()
    compiled = torch.compile(network, dynamic=False) if compile_network else None

    def go() -> None:
        with (
            tempfile.TemporaryDirectory() as scratch,
            use_threads(available_cores()),
            start_threads() as pool,
        ):
            called = compiled or InParts(network, pool)
            flow = Flow()
            steps = DenoisingSteps(
                called, flow.loss, images, labels, settings, seed=0, precision=precision, noise_share=flow.noise_share
            )
            learn(network, steps, settings, Checkpoints(Path(scratch), 1), pool=pool, prepare=steps.prepare)

    return go, steps


def train_plain(steps: int, loaders: int) -> Side:
    """The plain loop, which continues where it stopped."""
    go_on = train_plainly(build_plain_unet(), make_images()[0], batch_size=BATCH, loaders=loaders)
    return lambda: go_on(steps), steps


def make_images() -> tuple[torch.Tensor, torch.Tensor]:
    """Random pixels and labels in equal numbers, because speed does not depend on the content."""
    images = torch.randint(0, 256, (IMAGES, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return images, torch.arange(IMAGES) % len(CLASSES)


def measure_rates(sides: dict[str, Side], rounds: int) -> dict[str, float]:
    """Training images per second of each side."""
    seconds = interleave({name: go for name, (go, _) in sides.items()}, repeats=rounds)
    return {name: round(steps * BATCH / seconds[name], 1) for name, (_, steps) in sides.items()}


def time_first_call(side: Side) -> float:
    """Seconds of the first piece, with nothing compiled before, on one compiling process."""
    import torch._inductor.config as inductor

    inductor.force_disable_caches = True  # the cost in a new process on a new machine
    inductor.compile_threads = 1
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # diffusers' version checks are cached functions, which Dynamo remarks upon
        side[0]()
    return time.perf_counter() - started


def count_parameters(model: torch.nn.Module) -> int:
    """The number of trained parameters."""
    return sum(parameter.numel() for parameter in model.parameters())
