"""Licences: read from metadata, compared with the allow list, listed on a page; and those of all dependencies."""

from __future__ import annotations

import re
from importlib.metadata import PackageMetadata, PackageNotFoundError, PathDistribution
from pathlib import Path

import pytest

from ops.documents.declared_licence import UNKNOWN, read_licence
from ops.documents.dependencies import Closure, Package, read_closure
from ops.documents.licences import ALLOWED, DEV, PRETRAINED, USER_EXTRAS, find_refusals, is_allowed

PAGE = Path(__file__).parents[3] / "docs" / "licences.md"


def install(folder: Path, name: str, *lines: str) -> None:
    """A package in `folder` that consists of its metadata."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *lines, ""]))


def close(folder: Path, *extras: str) -> Closure:
    """What `growset` brings along, of the packages in `folder`."""

    def find(name: str) -> PackageMetadata:
        path = folder / f"{name.replace('-', '_')}-1.0.dist-info"
        if not path.is_dir():
            raise PackageNotFoundError(name)
        return PathDistribution(path).metadata

    return read_closure(extras=extras, find=find)


def test_the_closure_follows_markers_extras_and_circles(tmp_path: Path) -> None:
    install(
        tmp_path, "growset", "Provides-Extra: more", "Requires-Dist: One-Thing[fast]>=1", "Requires-Dist: two",
        'Requires-Dist: elsewhere; sys_platform == "plan9"', 'Requires-Dist: lacking; extra == "more"',
    )  # fmt: skip
    install(
        tmp_path, "one-thing", "Provides-Extra: fast", 'Requires-Dist: speed; extra == "fast"', "Requires-Dist: two"
    )
    install(tmp_path, "two", "Requires-Dist: one.thing", 'Requires-Dist: unasked; extra == "slow"')
    install(tmp_path, "speed")
    install(tmp_path, "unasked")
    closure = close(tmp_path)
    assert {name: package.requires for name, package in closure.packages.items()} == {
        "growset": ("one-thing", "two"), "one-thing": ("speed", "two"), "speed": (), "two": ("one-thing",),
    }  # fmt: skip
    assert closure.missing == ()
    assert close(tmp_path, "more").missing == ("lacking",)


@pytest.mark.parametrize(
    ("lines", "licence"),
    [
        (["License-Expression: mit or apache-2.0"], "MIT OR Apache-2.0"),
        (["License-Expression: MIT", "License: BSD"], "MIT"),
        (["License: BSD-3-Clause", "Classifier: License :: OSI Approved :: BSD License"], "BSD-3-Clause"),
        (["License: GPLv2 with linking exception"], "GPL-2.0-only WITH GCC-exception-2.0"),
        (["License: Dual License", "Classifier: License :: OSI Approved :: BSD License"], "LicenseRef-BSD"),
        (
            ["Classifier: License :: OSI Approved :: MIT License", "Classifier: License :: OSI Approved",
             "Classifier: License :: OSI Approved :: Apache Software License"],
            "Apache-2.0 AND MIT",
        ),
        (["License: Copyright (c)", "        All rights", "Classifier: License :: OSI Approved :: MIT License"], "MIT"),
        (
            ["Classifier: License :: OSI Approved :: MIT License", "Classifier: License :: Other/Proprietary License"],
            UNKNOWN,
        ),
        (["License: UNKNOWN"], UNKNOWN),
        ([], UNKNOWN),
    ],
)  # fmt: skip
def test_the_most_exact_statement_of_the_metadata_counts(tmp_path: Path, lines: list[str], licence: str) -> None:
    install(tmp_path, "growset", *lines)
    assert close(tmp_path).packages["growset"].licence == licence


def test_a_package_without_a_statement_was_looked_up(tmp_path: Path) -> None:
    install(tmp_path, "mlcroissant")
    metadata = PathDistribution(tmp_path / "mlcroissant-1.0.dist-info").metadata
    assert (read_licence("mlcroissant", metadata), read_licence("other", metadata)) == ("Apache-2.0", UNKNOWN)


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("AGPL-3.0-only", False),
        ("GPL-2.0-only", False),
        ("GPL-2.0-only WITH GCC-exception-2.0", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("Apache-2.0 WITH LLVM-exception AND GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("MIT AND GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT AND AGPL-3.0-only", False),
        ("MIT OR MIT AND AGPL-3.0-only", True),
        ("MPL-2.0 AND (AGPL-3.0-only OR MIT)", True),
        ("(MPL-2.0 OR MIT) AND AGPL-3.0-only", False),
        ("LicenseRef-NVIDIA-Proprietary", False),
    ],
)
def test_all_of_and_and_one_of_or_must_be_allowed(expression: str, allowed: bool) -> None:
    assert is_allowed(expression) is allowed


def test_a_refused_licence_is_one_sentence_with_package_licence_and_remedy() -> None:
    packages = [
        Package("good", "1", "MIT"), Package("closed", "1", "LicenseRef-NVIDIA-Proprietary"),
        Package("nvidia-cublas", "1", "LicenseRef-NVIDIA-Proprietary"), Package("silent", "1", UNKNOWN),
        Package("viral", "1", "AGPL-3.0-only"),
    ]  # fmt: skip
    refusals = find_refusals(packages)
    assert [next(name for name in ("closed", "silent", "viral") if name in each) for each in refusals] == [
        "closed", "silent", "viral",
    ]  # fmt: skip
    assert "viral has the licence AGPL-3.0-only, which is not on the allow list; remove the dependency" in refusals[2]
    assert "LOOKED_UP" in refusals[1]


@pytest.fixture(scope="module")
def installed() -> dict[tuple[str, ...], Closure]:
    """What this environment has, by extras."""
    return {extras: read_closure(extras=extras) for extras in ((), *((extra,) for extra in (*USER_EXTRAS, DEV)))}


def test_every_installed_dependency_has_an_allowed_licence(installed: dict[tuple[str, ...], Closure]) -> None:
    packages = {name: each for closure in installed.values() for name, each in closure.packages.items()}
    assert len(packages) > 100
    assert find_refusals(packages.values()) == []


def read_page() -> dict[str, str]:
    """The licence of each package on the page."""
    tables = PAGE.read_text(encoding="utf-8").split("\n## Packages\n")[1]
    rows = re.findall(r"^\| ([^-|].*) \| (.+) \|$", tables, flags=re.MULTILINE)
    return {name: licence for licence, names in rows if licence != "licence" for name in names.split(", ")}


def test_the_page_lists_what_is_installed_and_nothing_else(installed: dict[tuple[str, ...], Closure]) -> None:
    packages = installed[()].packages | installed[DEV,].packages
    here = {name: each.licence for name, each in packages.items() if name != "growset"}
    if any(name.startswith("nvidia-") for name in here) or "onnxruntime" in here:
        pytest.skip("the page lists what Linux on x86-64 without CUDA installs")
    listed = read_page()
    assert {name: listed.get(name) for name in here} == here, "run: make licences"
    rest = listed.keys() - here.keys()  # the packages of the extras for networks, which may be elsewhere
    missing = {name for extra in PRETRAINED for name in installed[extra,].missing}
    assert missing <= rest and len(rest) < 15, "run: make licences"


def test_the_page_names_every_allowed_licence() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [licence for licence in ALLOWED if f"`{licence}`" not in text] == []
