"""Small values between the ops of one graph, stored as JSON files, so that no pickle is ever loaded."""

import json
from typing import Any

import dagster as dg
from upath import UPath


class JsonIOManager(dg.UPathIOManager):
    """Stores values that JSON can hold in the instance's storage, where a re-execution finds earlier results."""

    extension = ".json"

    def dump_to_path(self, context: dg.OutputContext, obj: Any, path: UPath) -> None:
        path.write_text(json.dumps(obj), encoding="utf-8")

    def load_from_path(self, context: dg.InputContext, path: UPath) -> Any:
        return json.loads(path.read_text(encoding="utf-8"))


@dg.io_manager(description="JSON files in the instance's storage folder")
def json_io_manager(context: dg.InitResourceContext) -> JsonIOManager:
    """The IO manager of this code location."""
    assert context.instance is not None
    return JsonIOManager(base_path=UPath(context.instance.storage_directory()))
