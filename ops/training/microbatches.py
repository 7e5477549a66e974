"""A network evaluated in micro-batches on several threads, with the same bits for any number of threads.

The cut of a batch depends on its size alone, one thread computes each part without seeing the others, and the
gradients are added in the order of the batch. The module knows nothing of losses, optimizers or images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from ops.training.dropout import drop_by, dropout_key

NUMBERS = 32 * 28 * 28  # of the input in a part; a smaller part would cost more to start than to compute
FEWEST, MOST = 2, 8


def cut_batch(images: int, numbers: int, group: int = 1) -> list[slice]:
    """Parts of a batch of `images` rows of `numbers` numbers each, in order and of equal size to within a group.

    Groups of `group` rows stay whole; the last part has the rows that fill none. The number of parts depends on the
    batch alone. More cores than parts do not help.
    """
    groups = max(1, images // group)
    parts = min(groups, max(FEWEST, min(MOST, images * numbers // NUMBERS)))
    ends = [groups * part // parts * group for part in range(parts)] + [images]
    return [slice(begin, end) for begin, end in pairwise(ends)]


class InParts:
    """A function that computes the network part by part in `pool`, and can replace it in any loss.

    It is called with the network's arguments: tensors [n, ...] that need no gradient.
    `pool` must start threads on which torch computes alone (`ops.machine.parallel.start_threads`).
    `cut` is given the number of rows; without it parts follow from the first argument.
    """

    def __init__(
        self, network: nn.Module, pool: ThreadPoolExecutor, cut: Callable[[int], list[slice]] | None = None
    ) -> None:
        self.network, self.pool, self.cut = network, pool, cut

    def __call__(self, *inputs: Tensor, **named: Tensor) -> Tensor:
        if any(tensor.requires_grad for tensor in (*inputs, *named.values())):
            raise ValueError("a network in parts has gradients for its parameters alone, not for its inputs")
        parameters = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        return cast(Tensor, _Parts.apply(self, inputs, named, *parameters))

    def evaluate(self, inputs: Sequence[Tensor], named: dict[str, Tensor]) -> list[Tensor]:
        """The outputs of the parts, each with its graph."""
        key = dropout_key()
        autocast: dict[str, Any] = {
            "enabled": torch.is_autocast_enabled("cpu"),
            "dtype": torch.get_autocast_dtype("cpu"),
            "cache_enabled": False,  # the threads would share it; no weight is used twice
        }

        def evaluate_part(task: tuple[int, slice]) -> Tensor:
            part, rows = task
            with torch.enable_grad(), torch.autocast("cpu", **autocast), drop_by(*key, part):
                output: Tensor = self.network(
                    *(tensor[rows] for tensor in inputs), **{name: tensor[rows] for name, tensor in named.items()}
                )
                return output

        rows = len(inputs[0])
        parts = cut_batch(rows, inputs[0][0].numel()) if self.cut is None else self.cut(rows)
        return list(self.pool.map(evaluate_part, enumerate(parts)))

    def find_gradients(
        self, outputs: Sequence[Tensor], gradient: Tensor, parameters: Sequence[Tensor]
    ) -> list[Tensor | None]:
        """Gradients of the parameters, None for one that no output depends on, from that of all outputs [n, ...]."""

        def find_part(task: tuple[Tensor, Tensor]) -> tuple[Tensor | None, ...]:
            output, own = task
            return torch.autograd.grad(output, parameters, own, allow_unused=True)

        parts = gradient.split([len(output) for output in outputs])
        return add_in_order(list(self.pool.map(find_part, zip(outputs, parts, strict=True))))


def in_parts(
    network: nn.Module,
    pool: ThreadPoolExecutor,
    device: str = "cpu",
    cut: Callable[[int], list[slice]] | None = None,
) -> Callable[..., Tensor]:
    """The function that a loss calls: the network in parts on the CPU, the network itself on a GPU."""
    return InParts(network, pool, cut) if device == "cpu" else network


def add_in_order(parts: Sequence[Sequence[Tensor | None]]) -> list[Tensor | None]:
    """Sums over the parts, first to last, of the tensors at each place; None where the first has none."""
    places = [place for place, tensor in enumerate(parts[0]) if tensor is not None]
    total = [cast(Tensor, parts[0][place]) for place in places]
    for part in parts[1:]:
        # Not in place: gradients of the first part may be views of other tensors.
        total = list(torch._foreach_add(total, [cast(Tensor, part[place]) for place in places]))
    sums: list[Tensor | None] = [None] * len(parts[0])
    for place, tensor in zip(places, total, strict=True):
        sums[place] = tensor
    return sums


class _Parts(torch.autograd.Function):
    """Connects the parts' graphs, each computed by a thread, to the graph of the loss."""

    @staticmethod
    def forward(
        ctx: Any, network: InParts, inputs: Sequence[Tensor], named: dict[str, Tensor], *parameters: Tensor
    ) -> Tensor:
        ctx.network, ctx.outputs, ctx.parameters = network, network.evaluate(inputs, named), parameters
        return torch.cat([output.detach() for output in ctx.outputs])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (gradient,) = gradients
        return None, None, None, *ctx.network.find_gradients(ctx.outputs, gradient, ctx.parameters)
