"""Distil a flow into the same network with one to four evaluations: segment distillation.

The teacher follows its own trajectories from noise to image; the student learns the average velocity over each of a
few equal segments, so that one Euler step crosses a segment. It is regression on pairs with a known answer, which is
robust after minutes where consistency training needs hours (cf. Luhman and Luhman 2021; Liu et al. 2023, §2.2, reflow
with given ends). The module does not know where the student is kept or how it is judged.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ops.files.storage import replace_file
from ops.generators.denoising.network import ConditionalUNet
from ops.generators.denoising.session import Session
from ops.generators.kinds.flow import Flow
from ops.machine.precision import compute_in
from ops.recipe.generator import DistillationSettings, SamplerSettings
from ops.training.checkpoint import Checkpoints, save_weights
from ops.training.dropout import drop_by

PAIRS, TEACHER = "pairs.safetensors", "teacher.safetensors"
PART = 64  # trajectories that a thread follows at a time, however many threads there are
HUBER = 0.03  # width of the quadratic part, per pixel: errors beyond it count linearly


def distil(kind: Flow, settings: DistillationSettings, session: Session) -> dict[str, Any]:
    """Turn the flow in `session` into its student, in place; the teacher's weights stay in teacher.safetensors."""
    fitting, network = session.fitting, session.network
    sampler = SamplerSettings(solver="euler", steps=settings.evaluations)
    scratch, config = fitting.scratch / "student", session.config
    progress = fitting.progress("teacher", settings.pairs, "trajectories")
    states, labels = draw_trajectories(
        kind,
        network,
        settings,
        (config["channels"], config["height"], config["width"]),
        len(fitting.class_names),
        seed=fitting.seed,
        precision=session.precision,
        device=fitting.device,
        path=scratch / PAIRS,
        pool=session.pool,
        on_batch=progress.update,
    )
    save_weights(fitting.out / TEACHER, network.state_dict())
    progress = fitting.progress("student", settings.steps, "steps")
    find_loss = distil_steps(
        session.called,
        states,
        labels,
        settings,
        seed=fitting.seed,
        precision=session.precision,
        device=fitting.device,
    )
    checkpoints = Checkpoints(scratch, 2, session.watch(session.steps, sampler))
    ended = session.learn(find_loss, settings, checkpoints, progress)
    return {"best_step": session.steps + ended.best_step, "student_steps": ended.step, "student_pairs": settings.pairs}


def draw_trajectories(
    kind: Flow,
    teacher: ConditionalUNet,
    settings: DistillationSettings,
    shape: tuple[int, int, int],
    classes: int,
    *,
    seed: int,
    precision: str,
    device: str,
    path: Path,
    pool: ThreadPoolExecutor,
    on_batch: Callable[[int], None] = lambda done: None,
) -> tuple[Tensor, Tensor]:
    """States of the teacher's trajectories at the segments' ends, and their labels.

    Returns
    -------
    states : float16 [evaluations + 1, pairs, C, H, W], from noise to image.
    labels : int64 [pairs], classes in equal numbers to within one.

    Both are stored in `path`, and read from it if it exists. Each thread of `pool` computes on its own.
    """
    if path.exists():
        tensors = load_file(path)
        return tensors["states"], tensors["labels"]
    teacher.to(device).eval()
    labels = torch.arange(settings.pairs) % classes
    noise = torch.randn((settings.pairs, *shape), generator=torch.Generator().manual_seed(seed * 1_000_003 - 1))
    states = torch.empty((settings.evaluations + 1, *noise.shape), dtype=torch.float16)
    per_segment = settings.teacher_steps // settings.evaluations

    @torch.inference_mode()
    def follow(begin: int) -> int:
        rows = slice(begin, begin + PART)
        x, label = noise[rows].to(device), labels[rows].to(device)

        def evaluate(x: Tensor, time: float) -> Tensor:
            with compute_in(precision, device):
                return teacher(x, x.new_full((len(x),), time), label).float()

        states[0, rows] = x.cpu().half()
        for segment, (start, end) in enumerate(pairwise(_bounds(settings.evaluations)), 1):
            x = kind.integrate(evaluate, x, solver="heun", steps=per_segment, start=start, end=end)
            states[segment, rows] = x.cpu().half()
        return min(begin + PART, settings.pairs)

    for done in pool.map(follow, range(0, settings.pairs, PART)):
        on_batch(done)
    with replace_file(path) as temporary:
        save_file({"states": states, "labels": labels}, temporary)
    return states, labels


def distil_steps(
    student: Callable[..., Tensor],
    states: Tensor,
    labels: Tensor,
    settings: DistillationSettings,
    *,
    seed: int,
    precision: str,
    device: str = "cpu",
) -> Callable[[int], Tensor]:
    """The loss of each step: pseudo-Huber between the predicted and the teacher's average velocity over a segment.

    Every batch holds all segments in equal numbers to within one.
    """
    bounds = _bounds(settings.evaluations)

    def find_loss(step: int) -> Tensor:
        rng = np.random.default_rng([seed, step, 1])
        rows = torch.from_numpy(rng.choice(len(labels), settings.batch_size))
        segment = torch.from_numpy((step + np.arange(settings.batch_size)) % settings.evaluations)
        start, end = (states[segment + i, rows].float().to(device) for i in (0, 1))
        times = torch.tensor(bounds)[segment].to(device)
        target = (end - start) * settings.evaluations
        with compute_in(precision, device), drop_by(seed, step):
            output = student(start, times, labels[rows].to(device))
        error = output.float() - target
        width = HUBER * error[0].numel() ** 0.5
        return ((error.flatten(1).square().sum(1) + width**2).sqrt() - width).mean() / error[0].numel() ** 0.5

    return find_loss


def _bounds(evaluations: int) -> list[float]:
    return [segment / evaluations for segment in range(evaluations + 1)]
