"""Let rare classes learn from common ones: the regulariser of class-balancing diffusion models (CBDM: Qin et al. 2023).

For a noisy image the network's prediction h for the image's own class and h' for another one, drawn uniformly, are
pulled together, more so where there is more noise:

    L = (t/T) · [ |h - sg(h')|² + 1/4 · |sg(h) - h'|² ]          (eq. 8, 9; sg stops the gradient)

What a noisy image has in common with all classes is thus learnt from all of them. The term is added τ times.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from ops.generators.kinds.denoiser import Predict

COMMITMENT = 0.25  # weight of the second term


@dataclass
class Heard:
    """A network that remembers what it was asked last, and its answer."""

    predict: Predict
    asked: tuple[Tensor, Tensor] = field(init=False)
    answer: Tensor = field(init=False)

    def __call__(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        self.asked, self.answer = (x, t), self.predict(x, t, label)
        return self.answer


def find_transfer(heard: Heard, predict: Predict, others: Tensor, noise_share: Tensor) -> Tensor:
    """The term for predictions [n, C, H, W], the mean over all values; others int64 [n], noise_share [n] in 0..1."""
    own, other = heard.answer.float(), predict(*heard.asked, others).float()
    pulled = (own - other.detach()).square() + COMMITMENT * (own.detach() - other).square()
    return (noise_share[:, None, None, None] * pulled).mean()
