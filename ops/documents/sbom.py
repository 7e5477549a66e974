"""The software bill of materials: what an installation of Growset consists of, as a CycloneDX 1.6 document.

`make sbom` writes it. It lists the packages that are installed here, so that it belongs to this environment; equal
environments at equal times give equal bytes.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ops.documents.declared_licence import SOME_BSD, UNKNOWN
from ops.documents.dependencies import ROOT, Closure, Package, read_closure
from ops.documents.licences import USER_EXTRAS
from ops.files.storage import write_json

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"


def describe(closure: Closure, now: datetime) -> dict[str, Any]:
    """The document about the first package of the closure; the others are its components."""
    root, *others = closure.packages.values()
    purls = {each.name: f"pkg:pypi/{each.name}@{quote(each.version, safe='')}" for each in others}
    # Growset itself has no purl: nobody has published it, and another package may have its name.
    references = {root.name: root.name} | purls
    parts = {
        "metadata": {
            "timestamp": now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "component": {"type": "application", "bom-ref": references[root.name], **_describe_package(root)},
        },
        "components": [
            {"type": "library", "bom-ref": references[each.name], "purl": purls[each.name], **_describe_package(each)}
            for each in others
        ],
        "dependencies": [
            {"ref": references[each.name], "dependsOn": [references[name] for name in each.requires]}
            for each in (root, *others)
        ],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(parts))
    head = {"$schema": SCHEMA, "bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": f"urn:uuid:{serial}"}
    return {**head, "version": 1, **parts}


def _describe_package(package: Package) -> dict[str, Any]:
    described = {"name": package.name, "version": package.version}
    return described if package.licence == UNKNOWN else {**described, "licenses": [_describe_licence(package.licence)]}


def _describe_licence(expression: str) -> dict[str, Any]:
    """A single licence by its SPDX id, a BSD licence by its name, anything else as an expression."""
    declared = {"acknowledgement": "declared"}
    if expression == SOME_BSD:
        return {"license": {"name": "BSD License", **declared}}
    if " " in expression or expression.startswith("LicenseRef-"):
        return {"expression": expression, **declared}
    return {"license": {"id": expression, **declared}}


def write(path: Path, now: datetime) -> None:
    """Write the document on this environment, with the extras for users as far as they are installed."""
    write_json(path, describe(read_closure(ROOT, USER_EXTRAS), now))


if __name__ == "__main__":
    epoch = os.environ.get("SOURCE_DATE_EPOCH")  # by which builds agree on a time
    target = Path(*sys.argv[1:2] or ["dist/sbom.cdx.json"])
    write(target, datetime.fromtimestamp(float(epoch), UTC) if epoch else datetime.now(UTC))
    print(f"{target} is written")
