"""The licence that a package declares in its metadata, as an SPDX expression.

Older metadata have no expression. The field `License` is tried next, because it is more exact than the classifiers
("BSD-3-Clause" beside "BSD License") wherever it is a name and not a whole text.
"""

from __future__ import annotations

from importlib.metadata import PackageMetadata

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

UNKNOWN = "NOASSERTION"  # SPDX's word for a licence that nobody has stated
SOME_BSD = "LicenseRef-BSD"  # one with two or three clauses; the metadata do not say which
NVIDIA = "LicenseRef-NVIDIA-Proprietary"

# What stands in the field `License` of packages without an expression, in small letters.
TEXTS = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache 2.0": "Apache-2.0",
    "apache 2.0 license": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license version 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "bsd": SOME_BSD,
    "bsd license": SOME_BSD,
    "gplv2 with linking exception": "GPL-2.0-only WITH GCC-exception-2.0",  # libgit2's and pygit2's
    "gplv2 | eplv1": "GPL-2.0-only OR EPL-1.0",
    "isc license": "ISC",
    "mit license": "MIT",
    "new bsd": "BSD-3-Clause",
    "nvidia proprietary software": NVIDIA,
}
CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": SOME_BSD,
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "Zope Public License": "ZPL-2.1",
}
# Packages whose metadata say nothing; somebody has looked at their repositories.
LOOKED_UP = {"mlcroissant": "Apache-2.0"}


def read_licence(name: str, metadata: PackageMetadata) -> str:
    """The SPDX expression of the licence of a package, UNKNOWN if its metadata do not give one that is known here.

    Several classifiers may be a choice or not; they are joined by AND, the stricter reading.
    """
    for field in ("License-Expression", "License"):
        for text in metadata.get_all(field) or []:
            if expression := _read_text(text):
                return expression
    listed = [each for each in metadata.get_all("Classifier") or [] if each.startswith("License :: ")]
    titles = [each.split(" :: ")[-1] for each in listed if each != "License :: OSI Approved"]
    known = sorted({CLASSIFIERS.get(title, UNKNOWN) for title in titles} or {LOOKED_UP.get(name, UNKNOWN)})
    return UNKNOWN if UNKNOWN in known else " AND ".join(known)


def _read_text(text: str) -> str | None:
    """A licence's name as an SPDX expression; None for a whole text, and for a name that is not known here."""
    name = text.strip()
    if "\n" in name:
        return None
    try:
        return str(canonicalize_license_expression(name))
    except InvalidLicenseExpression:
        return TEXTS.get(name.casefold())
