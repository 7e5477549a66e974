"""Stage `generator_onnx`: the generator as a self-contained directory that plain ONNX Runtime can run."""

from __future__ import annotations

import shutil
from typing import Any

from ops.generators.engine import Sampler
from ops.generators.export import export_net, export_sampler
from ops.generators.folder import CONFIG, NET, WEIGHTS, load_generator, sampler_name, write_card
from ops.generators.parity import measure_parity
from ops.parallel import use_threads
from ops.stage import StageRun, read_manifest
from ops.storage import write_json


def build_generator_onnx(run: StageRun) -> dict[str, Any]:
    """Export, compose the sampler, measure parity on the CPU provider; the check decides on the figures."""
    source, sampler = run.inputs["generator"], run.recipe.sampler
    threads = use_threads()
    model, config = load_generator(source)
    shape = (config["channels"], config["height"], config["width"])
    run.runtime.sink("generator_onnx: exporting the network")
    net = run.scratch / NET
    if not net.exists():
        export_net(model, shape, net)
    for name in (CONFIG, WEIGHTS):
        shutil.copyfile(source / name, run.out / name)
    shutil.copyfile(net, run.out / NET)
    path = run.out / sampler_name(sampler.steps)
    export_sampler(
        net, path, solver=sampler.solver, steps=sampler.steps, shape=shape, class_names=config["class_names"]
    )
    run.runtime.sink("generator_onnx: measuring parity with the eager sampler")
    parity = measure_parity(model, Sampler(path, provider="cpu", threads=threads))
    write_json(run.out / "parity.json", parity.to_dict())
    trained = read_manifest(source)
    write_card(
        run.out,
        config,
        {
            "trained on": f"{trained['metrics']['training_images']} draws from the real training images",
            "sampler": f"{sampler.solver}, {sampler.steps} steps; inputs `noise` float32"
            f" [n, {', '.join(map(str, shape))}], `label` int64 [n]; output `image` uint8 [n, height, width, channels]",
            "parity with the eager fp32 sampler": f"{parity.share_equal:.4%} of pixels equal,"
            f" {parity.share_beyond_one:.4%} differ by more than one grey level, at most {parity.max_difference},"
            f" on {parity.images} images",
        },
    )
    return {f"parity_{name}": value for name, value in parity.to_dict().items()}
