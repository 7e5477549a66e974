"""The bill of materials: the fields that CycloneDX 1.6 requires, references that lead somewhere, this environment."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from importlib.metadata import version
from pathlib import Path

from packaging.licenses import canonicalize_license_expression

from ops.documents.declared_licence import UNKNOWN
from ops.documents.dependencies import Closure, Package
from ops.documents.sbom import describe, write

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=timezone(timedelta(hours=2)))
SMALL = Closure(
    {
        "growset": Package("growset", "0.1.0", "Apache-2.0", ("torch",)),
        "torch": Package("torch", "2.13.0+cpu", "BSD-3-Clause AND MIT", ("sympy", "unknown")),
        "sympy": Package("sympy", "1.14.0", "LicenseRef-BSD"),
        "unknown": Package("unknown", "3", UNKNOWN),
    },
    (),
)


def test_a_small_closure_as_it_stands_in_the_document() -> None:
    found = describe(SMALL, NOW)
    torch, sympy, unknown = found["components"]
    assert torch == {
        "type": "library", "bom-ref": "pkg:pypi/torch@2.13.0%2Bcpu", "purl": "pkg:pypi/torch@2.13.0%2Bcpu",
        "name": "torch", "version": "2.13.0+cpu",
        "licenses": [{"expression": "BSD-3-Clause AND MIT", "acknowledgement": "declared"}],
    }  # fmt: skip
    assert sympy["licenses"] == [{"license": {"name": "BSD License", "acknowledgement": "declared"}}]
    assert "licenses" not in unknown
    assert found["metadata"]["timestamp"] == "2026-05-01T10:00:00Z"
    assert found["metadata"]["component"] == {
        "type": "application", "bom-ref": "growset", "name": "growset", "version": "0.1.0",
        "licenses": [{"license": {"id": "Apache-2.0", "acknowledgement": "declared"}}],
    }  # fmt: skip
    assert found["dependencies"][:2] == [
        {"ref": "growset", "dependsOn": ["pkg:pypi/torch@2.13.0%2Bcpu"]},
        {"ref": "pkg:pypi/torch@2.13.0%2Bcpu", "dependsOn": ["pkg:pypi/sympy@1.14.0", "pkg:pypi/unknown@3"]},
    ]


def test_equal_environments_at_equal_times_give_equal_documents() -> None:
    assert describe(SMALL, NOW) == describe(SMALL, NOW.astimezone(UTC))
    assert describe(SMALL, NOW)["serialNumber"] != describe(SMALL, NOW + timedelta(days=1))["serialNumber"]


def test_the_document_on_this_environment_is_complete(tmp_path: Path) -> None:
    write(tmp_path / "sbom.cdx.json", NOW)
    found = json.loads((tmp_path / "sbom.cdx.json").read_text(encoding="utf-8"))
    assert (found["bomFormat"], found["specVersion"], found["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", found["serialNumber"])
    root, components = found["metadata"]["component"], found["components"]
    assert all(each["type"] and each["name"] and each["version"] for each in (root, *components))
    references = [root["bom-ref"], *(each["bom-ref"] for each in components)]
    assert len(set(references)) == len(references) > 100
    assert [each["ref"] for each in found["dependencies"]] == references
    named = {other for each in found["dependencies"] for other in each["dependsOn"]}
    assert named == set(references) - {root["bom-ref"]}  # every component is required by another
    by_name = {each["name"]: each for each in components}
    assert by_name["dagster"]["purl"] == f"pkg:pypi/dagster@{version('dagster')}"
    for each in components:
        (licence,) = each["licenses"]
        assert licence.keys() >= {"expression"} or licence["license"].keys() >= {"id"} or licence["license"]["name"]
        expression = licence.get("expression") or licence["license"].get("id", "MIT")
        assert canonicalize_license_expression(expression) == expression
