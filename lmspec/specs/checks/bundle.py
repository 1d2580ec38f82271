"""bundle checks: what programs read of a model card."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement


def license_is_an_spdx_expression(bundle: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Programs read the license in the model card."""
    from packaging import licenses  # takes longer than the other checks together

    try:
        licenses.canonicalize_license_expression(bundle["license"])
    except licenses.InvalidLicenseExpression:
        yield Disagreement(
            ("license",),
            "it is not an SPDX license expression",
            "write an identifier from https://spdx.org/licenses, such as Apache-2.0, or "
            "LicenseRef-NAME for a license of your own",
        )
