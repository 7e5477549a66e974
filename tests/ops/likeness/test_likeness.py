"""Likeness: copies are at 0, whatever the distance ignores, and strangers far; sizes, colours, flat pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import affine_transform
from torch import Tensor

from ops.likeness.descriptors import SIDE, ImageDescriptors, count_even, describe, prepare, sign
from ops.likeness.gratings import POSES, list_windows, make_windows
from ops.likeness.likeness import Matches
from ops.likeness.likeness import find_matches as find_among
from ops.likeness.registration import CURVE_PENALTY, UNRELATED, compare
from ops.likeness.screening import screen

SHAPES = [(1, 28, 28), (3, 32, 32), (1, 8, 8), (3, 20, 44), (1, 64, 64)]


def draw(count: int, shape: tuple[int, ...] = (1, 28, 28), seed: int = 0) -> Tensor:
    """Pictures of a few smooth blobs each, all different, with levels away from black and white."""
    channels, height, width = shape
    small = torch.rand(count, channels, 5, 5, generator=torch.Generator().manual_seed(seed))
    levels = F.interpolate(small, size=(height, width), mode="bicubic", align_corners=False)
    return (40 + 160 * levels).clamp(20, 235).to(torch.uint8)


def find_matches(queries: ImageDescriptors, references: ImageDescriptors, k: int = 1, **how: Any) -> Matches:
    return find_among(prepare(queries), references, k, **how)


def move(images: Tensor, down: int, right: int) -> Tensor:
    """Moved pictures; uncovered pixels are black."""
    height, width = images.shape[2:]
    wide = F.pad(images, (abs(right),) * 2 + (abs(down),) * 2)
    top, left = abs(down) - down, abs(right) - right
    return wide[:, :, top : top + height, left : left + width]


@pytest.mark.parametrize("shape", SHAPES)
def test_an_image_and_its_mirror_image_are_at_0_and_strangers_far(shape: tuple[int, ...]) -> None:
    known = draw(30, shape)
    for images in (known, known.flip(-1)):
        found = find_matches(describe(images), describe(known))
        assert found.distances.shape == (30, 1)
        assert found.distances.max() < 1e-3
        assert found.indices[:, 0].tolist() == list(range(30))
    strangers = find_matches(describe(draw(30, shape, seed=1)), describe(known))
    assert strangers.distances.min() > 0.1
    assert strangers.distances.max() <= 2


@pytest.mark.parametrize(("shape", "most"), [((1, 28, 28), 3), ((3, 32, 32), 4), ((1, 8, 8), 1), ((3, 20, 30), 2)])
def test_shifts_of_up_to_an_eighth_of_a_side_are_undone_exactly(shape: tuple[int, ...], most: int) -> None:
    known = draw(25, shape)
    described = describe(known)
    for down, right in ((most, 0), (0, -most), (-1, 1)):
        found = find_matches(describe(move(known, down, right).flip(-1)), described)
        hits = found.indices[:, 0] == np.arange(25)
        assert hits.mean() >= 0.95
        assert found.distances[hits].max() < 0.01


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
def test_brightness_and_contrast_change_nothing_but_rounding(shape: tuple[int, ...]) -> None:
    known = draw(25, shape)
    for factor, offset in ((0.6, 10), (0.8, 45), (1.0, 20), (1.0, -20)):
        changed = (known.float() * factor + offset).round().to(torch.uint8)
        found = find_matches(describe(changed), describe(known))
        assert found.indices[:, 0].tolist() == list(range(25))
        assert found.distances.max() < 0.02


def test_the_distance_equals_that_of_a_tone_curve_fitted_in_plain_numpy() -> None:
    # Without any displacement; the blur is (1 4 6 4 1) / 16 in both directions, end pixels repeated.
    one, other = draw(6, seed=3), draw(6, seed=4)
    found = compare(describe(one).pixels.float(), describe(other).pixels.float(), lay(6))
    for row in range(6):
        flat = []
        for images in (one, other):
            levels = np.pad(images[row, 0].numpy() / 255.0, 2, mode="edge")
            taps = np.array([1, 4, 6, 4, 1]) / 16
            lines = sum(tap * levels[i : i + 28] for i, tap in enumerate(taps))
            blurred = sum(tap * lines[:, i : i + 28] for i, tap in enumerate(taps))
            # The edge, where the blur used repeated pixels, does not count.
            flat.append((((blurred - blurred.mean()) / blurred.std())[2:-2, 2:-2]).ravel())
        columns = np.stack([np.ones(576), flat[0], flat[0] ** 2], axis=1)
        # The penalty on the quadratic term is one further row of the least squares.
        rows = np.vstack([columns, [0, 0, np.sqrt(CURVE_PENALTY * 576)]])
        factors = np.linalg.lstsq(rows, np.append(flat[1], 0), rcond=None)[0]
        left = np.square(flat[1] - columns @ factors).sum() / np.square(flat[1] - flat[1].mean()).sum()
        rising = np.dot(flat[0], flat[1] - flat[1].mean()) >= 0
        ncc = np.sqrt(1 - left) if rising else -np.sqrt(1 - left)
        assert found[row] == pytest.approx(np.sqrt(2 - 2 * ncc), abs=5e-3)


def lay(count: int) -> Tensor:
    """theta of pairs without any displacement."""
    theta = torch.zeros(count, 2, 6)
    theta[:, 0, 1] = theta[:, 1, 2] = 14  # half a side
    return theta


def warp(images: Tensor, angle: float = 0.0, scale: float = 1.0, move: float = 0.0) -> Tensor:
    """Turned by degrees, scaled and moved to the right, by scipy; uncovered pixels are grey."""
    turn = np.deg2rad(angle)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) / scale
    middle = (np.array(images.shape[2:]) - 1) / 2
    offset = middle - matrix @ (middle + np.array([0, move]))
    flat = images.flatten(0, 1).numpy().astype(np.float64)
    moved = [affine_transform(picture, matrix, offset, order=3, mode="constant", cval=110) for picture in flat]
    return torch.from_numpy(np.stack(moved).round().clip(0, 255).astype(np.uint8)).view_as(images)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
@pytest.mark.parametrize("how", [{"angle": 5}, {"angle": -10}, {"scale": 0.9}, {"scale": 1.1},
                                 {"angle": 8, "scale": 1.05},
                                 {"angle": -10, "move": 1}, {"scale": 1.1, "move": -1.5}])  # fmt: skip
def test_turned_scaled_and_mirrored_copies_are_near(shape: tuple[int, ...], how: dict[str, float]) -> None:
    known = draw(40, shape)
    described = describe(known)
    strangers = find_matches(describe(draw(40, shape, seed=1)), described).distances
    for images in (warp(known, **how), warp(known.flip(-1), **how)):
        found = find_matches(describe(images), described)
        assert (found.indices[:, 0] == np.arange(40)).mean() >= 0.95
        assert (found.distances < np.quantile(strangers, 0.01) / 2).mean() >= 0.95


def test_a_posed_spectrum_is_that_of_the_posed_picture() -> None:
    # The picture is smooth enough to be turned without loss.
    y, x = torch.meshgrid(*(torch.arange(64) - 31.5,) * 2, indexing="ij")
    picture = torch.stack([torch.exp(-((y - d) ** 2 / 90 + (x - r) ** 2 / 40)) for d, r in ((5, -6), (-8, 2))])[:, None]
    signs = sign(picture, make_windows(64, 64))
    for number, pose in enumerate(POSES):
        grid = (
            torch.stack([y, x], 2) @ pose.to_matrix().T / 32
        )  # from places of the posed picture to places of the picture
        posed = F.grid_sample(
            picture, grid.flip(-1).expand(2, -1, -1, -1).contiguous(), mode="bicubic", align_corners=False
        )
        cosines = (sign(posed, make_windows(64, 64))[:, :1] * signs).sum(2)
        window = list_windows(64, 64).index((number, 0, 0))
        assert cosines[:, window].min() > 0.995
        assert cosines.argmax(1).tolist() == [window] * 2


@pytest.mark.parametrize("shape", SHAPES)
def test_a_mirror_image_has_the_signature_with_the_odd_coordinates_negated(shape: tuple[int, ...]) -> None:
    pictures = draw(5, shape)
    one, other = describe(pictures), describe(pictures.flip(-1))
    even = count_even(one)
    assert 0 < even < one.signatures.shape[1]
    mirrored = torch.cat([one.signatures[:, :even], -one.signatures[:, even:]], dim=1)
    torch.testing.assert_close(other.signatures, mirrored, atol=2e-3, rtol=0)
    assert (one.signatures[:, even:].abs().amax(1) > 0.02).all()


def test_limits_stop_distant_pairs_early_and_leave_copies_unchanged() -> None:
    known = draw(60)
    described, copies, strangers = describe(known), describe(warp(known, angle=5)), describe(draw(60, seed=1))
    limit = find_matches(copies, described).distances.max() * 1.5
    few = {"find_limits": lambda rough_spacing, index: torch.full(index.shape, float(limit))}
    np.testing.assert_array_equal(
        find_matches(copies, described, **few).distances, find_matches(copies, described).distances
    )
    left, whole = find_matches(strangers, described, **few).distances, find_matches(strangers, described).distances
    assert (left[whole >= limit] >= limit).mean() > 0.95
    assert (left != whole).mean() > 0.5


def test_flat_pictures_are_alike_and_unrelated_to_all_others() -> None:
    blank = torch.stack([torch.full((1, 28, 28), level, dtype=torch.uint8) for level in (0, 128, 255)])
    found = find_matches(describe(blank), describe(blank), 2, other_than=np.arange(3))
    assert (found.distances == 0).all()
    pictures = draw(20)
    assert find_matches(describe(blank), describe(pictures)).distances == pytest.approx(UNRELATED, abs=1e-5)
    assert find_matches(describe(pictures), describe(blank)).distances == pytest.approx(UNRELATED, abs=1e-5)
    both = describe(torch.cat([pictures, blank[:1]]))
    assert find_matches(describe(blank[2:]), both).distances[0, 0] == 0


def test_a_query_is_compared_only_with_references_below_its_limit_and_not_with_itself() -> None:
    images = draw(12)
    images[7] = images[2]
    described = describe(images)
    found = find_matches(described, described, below=np.arange(12))
    assert found.distances[0, 0] == np.inf and found.indices[0, 0] == -1
    assert (found.indices[1:, 0] < np.arange(1, 12)).all()
    assert found.distances[7, 0] == 0 and found.indices[7, 0] == 2
    assert (found.distances[[2, 3, 4]] > 0.05).all()
    others = find_matches(described, described, other_than=np.arange(12))
    assert (others.indices[:, 0] != np.arange(12)).all()
    assert others.indices[[2, 7], 0].tolist() == [7, 2]


def test_neighbours_ascend_without_repetition_and_end_in_inf() -> None:
    images = draw(4)
    found = find_matches(describe(images[:2]), describe(images), 6)
    assert (np.diff(found.distances[:, :4], axis=1) >= 0).all()
    assert [sorted(row[:4]) for row in found.indices.tolist()] == [[0, 1, 2, 3]] * 2
    assert np.isinf(found.distances[:, 4:]).all() and (found.indices[:, 4:] == -1).all()
    assert np.isinf(found.rough_spacing).all()  # there is no fifth


def test_neither_order_nor_batch_changes_a_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    known, images = describe(draw(300, seed=5)), draw(40, seed=6)
    whole = find_matches(describe(images), known)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    shuffled = find_matches(describe(images[order]), known)
    np.testing.assert_allclose(shuffled.distances, whole.distances[order], atol=1e-5)
    for name, size in (
        ("descriptors.BLOCK", 7),
        ("screening.QUERIES_AT_ONCE", 3),
        ("screening.REFERENCES_AT_ONCE", 64),
    ):
        monkeypatch.setattr(f"ops.likeness.{name}", size)
    pieces = [find_matches(describe(part), known) for part in (images[:9], images[9:])]
    np.testing.assert_allclose(np.concatenate([p.distances for p in pieces]), whole.distances, atol=1e-5)
    np.testing.assert_array_equal(np.concatenate([p.indices for p in pieces]), whole.indices)


def test_empty_queries_and_empty_references_give_no_matches() -> None:
    empty = describe(torch.empty(0, 1, 28, 28, dtype=torch.uint8))
    pictures = describe(draw(3))
    assert find_matches(empty, pictures).distances.shape == (0, 1)
    found = find_matches(pictures, empty)
    assert np.isinf(found.distances).all() and (found.indices == -1).all()


def test_among_many_references_a_moved_copy_is_found_and_a_batch_changes_nothing() -> None:
    # More than 65,536 random signatures; those of the copied pictures come last.
    known = describe(draw(20))
    crowd = F.normalize(
        torch.rand(66_000, known.signatures.shape[1], generator=torch.Generator().manual_seed(0)), dim=1
    )
    signatures = torch.cat([crowd.half(), known.signatures])
    window_signatures = prepare(describe(move(warp(draw(20), angle=6), 2, 1))).window_signatures
    limits = torch.tensor(
        [len(signatures)] * 10 + [len(signatures), 40] * 5
    )  # one query's limit does not affect another
    cosines, found = screen(window_signatures, signatures, count_even(known), limits, None, 4)
    seen = limits == len(signatures)
    at_home = 66_000 + torch.arange(20)
    assert (found[seen][:, 0] == at_home[seen][:, None]).any(1).float().mean() >= 0.9
    assert (found[~seen] < 40).all()
    for row in (0, 9, 10, 11):
        alone = screen(window_signatures[row : row + 1], signatures, count_even(known), limits[row : row + 1], None, 4)
        torch.testing.assert_close(alone[0][0], cosines[row])
        torch.testing.assert_close(alone[1][0], found[row])
    few = screen(
        window_signatures[seen], known.signatures, count_even(known), torch.full((int(seen.sum()),), 20), None, 1
    )[0]
    own = (window_signatures[seen] * known.signatures[at_home[seen] - 66_000].float()[:, None]).sum(2).max(1).values
    assert (few[:, 0, 0] >= own - 1e-4).all() and (cosines[seen][:, 0, 0] >= own - 1e-4).all()


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 1), (1, 2, 2), (3, 2, 1), (1, 1, 40), (1, 2, 300), (3, 400, 30)])
def test_pictures_of_a_pixel_or_two_and_long_ones_are_compared_too(shape: tuple[int, ...]) -> None:
    images = torch.randint(0, 256, (12, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    described = describe(images)
    found = find_matches(described, described, 2)
    assert ((found.distances >= 0) & (found.distances <= 2)).all()
    if min(shape[1:]) > 2:  # registration can bend one line or two onto any other
        assert (found.distances[:, 0] < 1e-3).all()
        assert found.indices[:, 0].tolist() == list(range(12))
    height, width = described.pixels.shape[2:]
    assert height * width <= 1.1 * SIDE**2
    assert max(height, width) == pytest.approx(min(height, width) * max(shape[1:]) / min(shape[1:]), rel=0.2)
