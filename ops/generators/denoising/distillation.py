"""Distil a flow into the same network with one to four evaluations: segment distillation.

The teacher follows its own trajectories x_t from noise (t = 0) to image (t = 1). Time is cut into K equal segments
t_0 = 0, ..., t_K = 1, and the student learns the average velocity over each segment, so that one Euler step crosses a
segment. This is regression with known targets: it is robust within minutes where consistency training takes hours (cf.
Luhman and Luhman 2021; Liu et al. 2023, §2.2, reflow with given ends). This module does not know where the student is
stored or how it is judged.
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
from ops.recipe.denoisers import DistillationSettings
from ops.recipe.sampler import SamplerSettings
from ops.training.checkpoint import Checkpoints, save_weights
from ops.training.dropout import drop_by

PAIRS, TEACHER = "pairs.safetensors", "teacher.safetensors"
PART_TRAJECTORIES = 64  # that a thread follows at a time, for any number of threads
HUBER_WIDTH = 0.03  # of the quadratic part, per pixel: larger errors count linearly


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
    ended = session.learn(find_loss, settings, checkpoints, progress, key="distillation.learning_rate")
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
    states : float16 [K + 1, pairs, C, H, W] for K = `settings.evaluations`: x at t_0, ..., t_K, from noise to image.
    labels : int64 [pairs], classes in equal numbers to within one.

    They are saved to `path`; if it exists, they are read from it instead. `pool` has single-threaded workers.
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
        rows = slice(begin, begin + PART_TRAJECTORIES)
        x, label = noise[rows].to(device), labels[rows].to(device)

        # The teacher's velocity v_θ(x, t).
        def evaluate(x: Tensor, time: float) -> Tensor:
            with compute_in(precision, device):
                return teacher(x, x.new_full((len(x),), time), label).float()

        # x_0 is the noise itself; then follow v_θ from t_k to t_(k+1), segment by segment.
        states[0, rows] = x.cpu().half()
        for segment, (start, end) in enumerate(pairwise(_list_bounds(settings.evaluations)), 1):
            x = kind.integrate(evaluate, x, solver="heun", steps=per_segment, start=start, end=end)
            states[segment, rows] = x.cpu().half()
        return min(begin + PART_TRAJECTORIES, settings.pairs)

    for done in pool.map(follow, range(0, settings.pairs, PART_TRAJECTORIES)):
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

    For an image of d numbers it is (sqrt(||u_θ - u||² + c²) - c) / sqrt(d) with c = HUBER_WIDTH·sqrt(d). Every batch
    holds all segments in equal numbers to within one.
    """
    bounds = _list_bounds(settings.evaluations)

    def find_loss(step: int) -> Tensor:
        rng = np.random.default_rng([seed, step, 1])
        # Trajectories at random; segments k in turn.
        rows = torch.from_numpy(rng.choice(len(labels), settings.batch_size))
        k = torch.from_numpy((step + np.arange(settings.batch_size)) % settings.evaluations)
        # The segment's ends x_k and x_(k+1), and its first time t_k.
        x_k, x_next = (states[k + i, rows].float().to(device) for i in (0, 1))
        t_k = torch.tensor(bounds)[k].to(device)
        # Average velocity over a segment of length 1 / K: u = (x_(k+1) - x_k)·K.
        u = (x_next - x_k) * settings.evaluations
        with compute_in(precision, device), drop_by(seed, step):
            output = student(x_k, t_k, labels[rows].to(device))
        error = output.float() - u
        c = HUBER_WIDTH * error[0].numel() ** 0.5
        return ((error.flatten(1).square().sum(1) + c**2).sqrt() - c).mean() / error[0].numel() ** 0.5

    return find_loss


def _list_bounds(evaluations: int) -> list[float]:
    """The times t_0, ..., t_K that bound the segments."""
    return [segment / evaluations for segment in range(evaluations + 1)]
