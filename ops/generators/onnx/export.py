"""Export a network to ONNX: `net.onnx`, and `sampler_k.onnx` (noise and label in, uint8 images out).

With a strength the sampler takes seed images too, and gives variants.

The sampler is unrolled: the kind's own solver, run on symbols, composes copies of the exported network's nodes with
shared weights. Tracing the loop gives the same graph in minutes instead of milliseconds. This module does not check the
result; `parity` does.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from ops.files.storage import replace_file
from ops.generators.denoising.network import ConditionalUNet
from ops.generators.denoising.space import PIXELS, Space
from ops.generators.feeds import IMAGE
from ops.generators.folder import NET, is_labelled, sampler_name
from ops.generators.kinds.denoiser import Denoiser, guide
from ops.generators.onnx.engine import VARIANT
from ops.generators.onnx.graph import GraphBuilder, Symbol
from ops.generators.onnx.metadata import describe_sampler
from ops.generators.onnx.modules import export_module
from ops.generators.onnx.simplify import simplify
from ops.generators.stored_network import save_network
from ops.recipe.sampler import SamplerSettings

Tell = Callable[[Symbol, Symbol], Symbol]
"""What a network is told in the place of a label, of noise [n, C, H, W] and seed images [n, C, H, W] in -1..1."""


def export_denoiser(
    maths: Denoiser,
    network: ConditionalUNet,
    config: dict[str, Any],
    sampler: SamplerSettings,
    folder: Path,
    scratch: Path,
) -> Path:
    """Write the whole generator directory: config, weights, network and sampler; returns the sampler's path.

    The network's graph takes the exporter many seconds; it is reused if `scratch` holds it.
    """
    shape = (config["channels"], config["height"], config["width"])
    net = scratch / NET
    if not net.exists():
        export_net(network, shape, net)
    save_network(folder, network, config)
    shutil.copyfile(net, folder / NET)
    return write_sampler(maths, net, config, sampler, folder)


def write_sampler(
    maths: Denoiser,
    net: Path,
    config: dict[str, Any],
    sampler: SamplerSettings,
    folder: Path,
    space: Space[Symbol] = PIXELS,
    tell: Tell | None = None,
) -> Path:
    """Write the sampler of an exported network that denoises in `space` into `folder`; returns its path."""
    assert sampler.steps is not None
    path = folder / sampler_name(sampler.steps)
    shape = (config["channels"], config["height"], config["width"])
    model = unroll_sampler(
        maths,
        onnx.load(net),
        sampler,
        shape=shape,
        class_names=config["class_names"],
        labelled=is_labelled(config),
        space=space,
        kind=config["kind"],
        tell=tell,
    )
    with replace_file(path) as temporary:
        onnx.save(simplify(model), str(temporary))
    return path


def export_net(network: ConditionalUNet, shape: tuple[int, int, int], path: Path) -> None:
    """Write the network: `x` [n, C, H, W], `t` [n], `label` [n] to `output` [n, C, H, W]."""
    example = (torch.zeros(3, *shape), torch.zeros(3), torch.zeros(3, dtype=torch.int64))
    export_module(network, example, inputs=("x", "t", "label"), outputs=("output",), path=path)


def unroll_sampler(
    maths: Denoiser,
    net: onnx.ModelProto,
    sampler: SamplerSettings,
    *,
    shape: tuple[int, int, int],
    class_names: Sequence[str],
    labelled: bool = True,
    space: Space[Symbol] = PIXELS,
    kind: str | None = None,
    tell: Tell | None = None,
) -> onnx.ModelProto:
    """The sampler as one graph: `noise` [n, C, H, W] and `label` int64 [n] to `image` uint8 [n, H, W, C].

    The arithmetic is that of the kind's `integrate` on tensors, followed by `levels.to_pixels`. With a strength the
    graph also takes `image`, the seed images uint8 [n, H, W, C], and gives `variant`, by the kind's `vary`. Without
    `labelled` it takes no label, and the network gets its only one, 0. The network denoises in `space`; `kind`, for the
    metadata, is that of the mathematics where none is named. With `tell` the seed images tell the network what to draw
    from noise alone.
    """
    solver, steps = sampler.solver, sampler.steps
    assert solver is not None and steps is not None
    builder = GraphBuilder()
    builder.initializers.extend(net.graph.initializer)
    batch = builder.add("Shape", ["label"]) if labelled else builder.add("Shape", ["noise"], start=0, end=1)
    labels = "label"
    if not labelled:
        zero = numpy_helper.from_array(np.array([0], np.int64))
        labels = builder.add("ConstantOfShape", [batch], value=zero)
    # The last label, which means no label, for every row.
    no_label = None
    if sampler.guidance != 1.0:
        last = numpy_helper.from_array(np.array([len(class_names)], np.int64))
        no_label = builder.add("ConstantOfShape", [batch], value=last)
    noise, strength = space.take_noise(Symbol(builder, "noise")), sampler.settled_strength
    seeds = None if strength is None and tell is None else _read_pixels(builder)
    if tell is not None:
        assert seeds is not None
        labels = tell(Symbol(builder, "noise"), seeds).name
    copies, third = 0, net.graph.input[2].name  # label, or what is told in its place

    def run_net(x: Symbol, t: str, label: str) -> Symbol:
        nonlocal copies
        copies += 1
        outputs = builder.inline(net.graph, {"x": x.name, "t": t, third: label}, f"/{copies - 1}")
        return Symbol(builder, outputs["output"])

    def evaluate(x: Symbol, time: float) -> Symbol:
        # The time t for every row, as a float tensor of the label's length.
        t = builder.add("ConstantOfShape", [batch], value=numpy_helper.from_array(np.array([time], np.float32)))
        output = run_net(x, t, labels)
        return output if no_label is None else guide(output, run_net(x, t, no_label), sampler.guidance)

    # Integrate on symbols, then turn -1..1 into grey levels 0..255, channels last.
    output = IMAGE if seeds is None else VARIANT
    if strength is None or seeds is None or tell is not None:
        drawn = maths.integrate(evaluate, noise, solver=solver, steps=steps)
    else:
        drawn = maths.vary(evaluate, space.encode(seeds), noise, strength, solver=solver, steps=steps)
    scaled = (space.decode(drawn).clamp(-1.0, 1.0) + Symbol(builder, builder.constant(1.0))) * 127.5
    grey = builder.add("Cast", [builder.add("Round", [scaled.name])], to=TensorProto.UINT8)
    builder.add("Transpose", [grey], output=output, perm=[0, 2, 3, 1])

    channels, height, width = shape
    pixels = ["n", height, width, channels]
    told = [helper.make_tensor_value_info("label", TensorProto.INT64, ["n"])] if labelled else []
    seeded = [] if seeds is None else [helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, pixels)]
    graph = helper.make_graph(
        builder.nodes,
        f"{kind or maths.name} sampler, {solver}, {steps} steps",
        [
            helper.make_tensor_value_info("noise", TensorProto.FLOAT, ["n", channels, height, width]),
            *told,
            *seeded,
        ],
        [helper.make_tensor_value_info(output, TensorProto.UINT8, pixels)],
        builder.initializers,
    )
    model = helper.make_model(
        graph,
        opset_imports=list(net.opset_import),
        functions=list(net.functions),
        producer_name="growset",
        ir_version=net.ir_version,
    )
    assert copies == maths.count_evaluations(solver, steps) * (1 if no_label is None else 2)
    facts = {"solver": solver, "steps": str(steps), "evaluations": str(copies)}
    if strength is not None:
        facts["strength"] = str(strength)
    describe_sampler(model, kind=kind or maths.name, class_names=class_names, shape=shape, **facts)
    return model


def _read_pixels(builder: GraphBuilder) -> Symbol:
    """The seed images in -1..1, channels first, as by `levels.to_float`."""
    first = builder.add("Transpose", [IMAGE], perm=[0, 3, 1, 2])
    levels = Symbol(builder, builder.add("Cast", [first], to=TensorProto.FLOAT))
    return levels * (1 / 127.5) + Symbol(builder, builder.constant(-1.0))
