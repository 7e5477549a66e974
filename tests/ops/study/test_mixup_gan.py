"""GANs on mixtures of Gaussians: planted points, the mixtures' moments, the game's losses, blocks and fingerprints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from ops.errors import UserError
from ops.stages.materialization import Runtime
from ops.study.design import Study, StudyDesign, load_study
from ops.study.mixup_gan import bench as bench_module
from ops.study.mixup_gan.bench import GanBench, open_bench
from ops.study.mixup_gan.game import Game, build_perceptron, mix, play, shuffle_together
from ops.study.mixup_gan.mixtures import DEVIATION, draw_points, measure_coverage, place_grid, place_ring
from ops.study.mixup_gan.page import list_rows, render
from ops.study.results import SCHEMA, Row, add_rows, read_results, select_complete
from ops.study.running import rehearse_study, run_study
from ops.workspaces.workspace import Workspace

GAME = Game(steps=3, mixing=0.2, latent=2, width=8, seed=0)


def draw_ring(number: int, random: torch.Generator) -> Tensor:
    return draw_points(place_ring(), number, random)


def test_ring_and_grid_lie_where_the_published_demonstration_has_them() -> None:
    ring, grid = place_ring(), place_grid()
    assert ring.shape == (8, 2) and torch.allclose(ring.norm(dim=1), torch.ones(8))
    apart = torch.cdist(ring, ring).fill_diagonal_(9).min(dim=1).values
    assert torch.allclose(apart, torch.full((8,), 2 * np.sin(np.pi / 8), dtype=torch.float32))
    assert sorted(map(tuple, grid.tolist())) == [(x / 2, y / 2) for x in range(-2, 3) for y in range(-2, 3)]


@pytest.mark.parametrize("place", [place_ring, place_grid])
def test_points_have_the_moments_of_the_mixture(place: Callable[[], Tensor]) -> None:
    modes = place()
    points = draw_points(modes, 20_000, torch.Generator().manual_seed(0))
    nearest = torch.cdist(points, modes).argmin(dim=1)
    shares = torch.bincount(nearest, minlength=len(modes)) / len(points)
    assert float((shares - 1 / len(modes)).abs().max()) < 4 * (1 / len(modes) / len(points)) ** 0.5
    deviations = (points - modes[nearest]).std(dim=0)
    assert torch.allclose(deviations, torch.full((2,), DEVIATION), rtol=0.03)
    assert torch.allclose(points.mean(dim=0), torch.zeros(2), atol=0.03)


def test_coverage_counts_planted_points() -> None:
    modes = place_grid()
    planted = torch.cat(
        [
            modes[[3, 3, 7]],  # at two modes
            modes[[11]] + torch.tensor([0.029, 0.0]),  # within three deviations of a third
            modes[[20]] + torch.tensor([0.0, 0.031]),  # just outside
            torch.tensor([[0.25, 0.25], [9.0, 9.0], [float("nan"), 0.0]]),  # between modes, far away, diverged
        ]
    )
    found = measure_coverage(planted, modes)
    assert (found.modes, found.high_quality) == (3, 4 / 8)
    whole = measure_coverage(draw_points(modes, 2500, torch.Generator().manual_seed(0)), modes)
    assert whole.modes == 25
    # P(r <= 3 deviations) of a Gaussian in the plane is 1 - exp(-9 / 2).
    assert whole.high_quality == pytest.approx(1 - np.exp(-4.5), abs=0.008)


def test_weights_of_one_and_of_zero_give_the_losses_of_the_plain_batches() -> None:
    torch.manual_seed(0)
    d, random = build_perceptron(2, 16, 1), torch.Generator().manual_seed(0)
    one, other = (shuffle_together(torch.randn(6, 2), torch.randn(6, 2), random) for _ in range(2))
    losses = {}
    for weight in (0.0, 0.5, 1.0):
        x, y = mix(torch.full((12, 1), weight), one, other)
        losses[weight] = binary_cross_entropy_with_logits(d(x), y)
    for weight, (x, is_real) in {1.0: one, 0.0: other}.items():
        score = d(x)[:, 0]
        plain = torch.where(is_real[:, 0] == 1, softplus(-score), softplus(score)).mean()  # -log σ(d), -log(1 - σ(d))
        assert torch.allclose(losses[weight], plain)
    assert not torch.allclose(losses[0.5], losses[1.0])


def test_a_shuffled_batch_keeps_points_and_labels_together() -> None:
    real, generated = torch.arange(10.0).reshape(5, 2), -1 - torch.arange(10.0).reshape(5, 2)
    points, is_real = shuffle_together(real, generated, torch.Generator().manual_seed(0))
    assert sorted(points[:, 0].tolist()) == sorted([*real[:, 0].tolist(), *generated[:, 0].tolist()])
    assert (is_real[:, 0] == (points[:, 0] >= 0)).all()
    assert not torch.equal(points, torch.cat([real, generated]))


def test_the_same_game_gives_the_same_bits_whatever_was_drawn_before() -> None:
    weights = []
    for before in range(2):
        torch.manual_seed(before)
        weights.append(play(GAME, draw_ring).state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    for change in ({"seed": 1}, {"mixing": 0.0}, {"steps": 4}):
        other = play(replace(GAME, **change), draw_ring).state_dict()
        assert not all(torch.equal(weights[0][name], other[name]) for name in other), change


def test_games_that_differ_in_mixing_alone_start_from_the_same_weights() -> None:
    still = [play(replace(GAME, steps=0, mixing=mixing), draw_ring).state_dict() for mixing in (0.0, 1.0)]
    assert all(torch.equal(still[0][name], still[1][name]) for name in still[0])


@pytest.mark.parametrize("mixing", [0.0, 0.5])
def test_a_generator_moves_to_the_only_mode(mixing: float) -> None:
    modes = torch.tensor([[0.5, -0.5]])
    game = Game(steps=150, mixing=mixing, latent=2, width=16, seed=0)
    z = torch.randn(500, 2, generator=torch.Generator().manual_seed(1))
    distances = []
    for steps in (0, game.steps):
        points = play(replace(game, steps=steps), partial(draw_points, modes))(z).detach()
        distances.append(float((points - modes).norm(dim=1).mean()))
    assert distances[1] < distances[0] / 2


def make_design(**keys: Any) -> StudyDesign:
    part = {"kind": "mixup_gan", "steps": [4], "seeds": [0, 1], "width": 8, "mixing": [0, 0.5], **keys}
    return StudyDesign.model_validate({"question": "Does it?", "parts": {"gan": part}})


def make_study(tmp_path: Path, **keys: Any) -> Study:
    return Study("gans", tmp_path, make_design(**keys))


def open_gans(study: Study, *, quick: bool = False) -> GanBench:
    return open_bench(study, "gan", Workspace(study.folder), study.folder, Runtime(workers=1), quick=quick)


def test_blocks_begin_with_the_first_seed_and_hold_an_arm_for_each_weight(tmp_path: Path) -> None:
    bench = open_gans(make_study(tmp_path, steps=[4, 2]))
    assert [(block.seed, block.steps, block.setting) for block in bench.blocks] == [
        (seed, steps, mixture) for seed in (0, 1) for steps in (4, 2) for mixture in ("ring", "grid")
    ]
    assert [cell.arm for cell in bench.list_cells(bench.blocks[0])] == ["a=0", "a=0.5"]
    small = open_gans(make_study(tmp_path), quick=True)
    assert [(block.seed, block.steps) for block in small.blocks] == [(0, 3), (0, 3)]


def test_a_fingerprint_covers_all_that_decides_a_cell(tmp_path: Path) -> None:
    def list_fingerprints(**keys: Any) -> set[str]:
        bench = open_gans(make_study(tmp_path, **keys))
        return {cell.fingerprint for block in bench.blocks for cell in bench.list_cells(block)}

    usual = list_fingerprints()
    assert len(usual) == 8
    assert list_fingerprints(seeds=[1, 0], mixing=[0.5, 0], measures=["modes"], quick={"steps": 1}) == usual
    for changed in ({"steps": [5]}, {"width": 9}, {"latent": 3}, {"seeds": [2]}, {"mixing": [0.1]}):
        assert not list_fingerprints(**changed) & usual, changed
    assert list_fingerprints(mixtures=["ring"]) < usual


def test_a_stopped_study_goes_on_where_it_stopped(tmp_path: Path) -> None:
    study, main, runtime = make_study(tmp_path, mixtures=["ring"], seeds=[0]), Workspace(tmp_path), Runtime(workers=1)
    now = iter(range(0, 600, 60))
    stopped = run_study(study, main, runtime, budget=0.5, clock=lambda: next(now))
    assert (stopped.cells, stopped.missing, len(stopped.table)) == (2, 1, 0)  # an incomplete block is not shown
    first = read_results(tmp_path)
    done = run_study(study, main, runtime)
    assert (done.missing, len(done.table)) == (0, 4)
    kept = done.table.filter(pl.col("fingerprint") == first["fingerprint"][0])
    assert kept.sort("measure").equals(first.sort("measure"))
    assert run_study(study, main, runtime).table.equals(done.table)


@pytest.mark.slow
def test_two_processes_give_the_same_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_module, "WORKER_SHARE", 1)  # otherwise so little is not worth a second process
    bench = open_gans(make_study(tmp_path))
    block = bench.blocks[0]
    cells = bench.list_cells(block)
    values = []
    for workers in (1, 2):
        runs = replace(bench, runtime=Runtime(workers=workers)).run(block, cells)
        values.append(sorted((row.cell.arm, row.measure, row.value) for rows in runs for row in rows))
    assert values[0] == values[1] and len(values[0]) == 4


def test_a_rehearsal_runs_both_mixtures_and_keeps_nothing(tmp_path: Path) -> None:
    study = make_study(tmp_path, quick={"steps": 1})
    assert rehearse_study(study, Workspace(tmp_path), Runtime(workers=1)) == 4
    assert list(tmp_path.iterdir()) == []


def test_the_page_shows_counts_and_the_figure_shares(tmp_path: Path) -> None:
    study = make_study(tmp_path, mixtures=["ring"])
    bench, part = open_gans(study), study.design.parts["gan"]
    values = {("a=0", 0): (4, 0.25), ("a=0", 1): (6, 0.35), ("a=0.5", 0): (8, 0.5), ("a=0.5", 1): (8, 0.5)}
    cells = [cell for block in bench.blocks for cell in bench.list_cells(block)]
    rows = [
        Row(cell, measure, float(value), 1.0)
        for cell in cells
        for measure, value in zip(("modes", "high_quality"), values[cell.arm, cell.block.seed], strict=True)
    ]
    add_rows(tmp_path, rows)
    table = select_complete(cells, bench.measures, read_results(tmp_path))
    assert dict(table.schema) == SCHEMA
    lines = render(part, table)
    assert "| ring | 4 | 2 | 5.0 of 8 | 8.0 of 8 |" in lines
    assert "| ring | 4 | 2 | 30.0 | 50.0 |" in lines
    assert "| ring | 4 | +3.0 ± 12.7 |" in lines  # t(0.975, 1) = 12.706; the differences are 4 and 2
    ((panel,),) = list_rows("gan", part, table)
    assert (panel.label, panel.places) == ("modes covered, %", ["0", "0.5"])
    assert {place: found.mean for place, found in panel.lines["ring"].items()} == {"0": 5 / 8, "0.5": 1.0}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("mixtures: [spiral]", "parts.gan.mixtures"),
        ("mixing: [0, 2]", "less than or equal to 1"),
        ("mixing: [0.2, 0.2]", "0.2 is there twice"),
        ("mixing: []", "at least 1 must be given"),
        ("seeds: [0, 0]", "0 is there twice"),
        ("steps: [0]", "greater than or equal to 1"),
        ("latent: 0", "greater than or equal to 1"),
        ("measures: [accuracy]", "'modes' or 'high_quality'"),
        ("recipe: smoke", "recipe has no effect with kind: mixup_gan; it belongs to classifiers"),
        ("quick: {step: 1}", "did you mean 'steps'?"),
    ],
)
def test_bad_keys_are_one_sentence(tmp_path: Path, keys: str, message: str) -> None:
    folder = tmp_path / "studies" / "gans"
    folder.mkdir(parents=True)
    lines = {line.split(":")[0]: line for line in ("kind: mixup_gan", "steps: [4]", "seeds: [0]", keys)}
    text = "question: Does it?\nparts:\n  gan:\n" + "".join(f"    {line}\n" for line in lines.values())
    (folder / "grid.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load_study(Workspace(tmp_path), "gans")
    assert message in str(caught.value) and "\n" not in str(caught.value)
