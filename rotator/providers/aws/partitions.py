"""AWS's partitions: worlds apart, with regions, endpoints, accounts and ARNs that no other one knows.

As botocore's table (`data/partitions.json`) has them. It is not read here: a config is judged without the SDK.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

COMMERCIAL = "aws"
EUSC = "aws-eusc"
"""The European Sovereign Cloud. Northflank has a provider of this name for it."""

_REGIONS: Mapping[str, tuple[str, str]] = {
    COMMERCIAL: ("", "us-east-1"),
    "aws-cn": ("cn-", "cn-north-1"),
    EUSC: ("eusc-", "eusc-de-east-1"),
    "aws-iso": ("us-iso-", "us-iso-east-1"),
    "aws-iso-b": ("us-isob-", "us-isob-east-1"),
    "aws-iso-e": ("eu-isoe-", "eu-isoe-west-1"),
    "aws-iso-f": ("us-isof-", "us-isof-south-1"),
    "aws-us-gov": ("us-gov-", "us-gov-west-1"),
}
"""How the regions of each begin, and one of them."""

DEFAULT_REGION = _REGIONS[COMMERCIAL][1]
"""Where the SDK goes that is given none."""


def of_region(region: str) -> str:
    """The partition that a region is in, by its form: AWS adds regions to the commercial one every year."""
    named = region.removesuffix("-global")  # as in `aws-us-gov-global`, the SDK's word for all of its regions
    if named in _REGIONS:
        return named
    return next((one for one, (start, _) in _REGIONS.items() if start and region.startswith(start)), COMMERCIAL)


def of_arn(arn: str | None) -> str | None:
    """The partition that an ARN names; None without one."""
    found = re.match(r"arn:([\w-]+):", arn or "")
    return found[1] if found else None


def mismatch(arns: Mapping[str, str | None], region: str | None) -> tuple[str, str] | None:
    """What is wrong, and the remedy, where not all of this is of one partition; None where it is.

    Args:
        arns: by the field that has each; None where it has none.
        region: None where there is none: then the SDK goes to the commercial partition.
    """
    for field, arn in arns.items():
        partition = of_arn(arn)
        if partition is None:
            continue
        if partition not in _REGIONS:
            return f"`{field}` is in {partition}, which is no partition of AWS", f"Correct `{field}`."
        if partition != of_region(region or DEFAULT_REGION):
            reached = f"the region {region} is in {of_region(region)}" if region else "no region is set"
            return (
                f"`{field}` is in the partition {partition}, and {reached}",
                f"Set `aws.region` to a region of {partition}, like {_REGIONS[partition][1]}, or correct `{field}`.",
            )
    return None
