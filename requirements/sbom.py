"""Completes the SBOM that cyclonedx-py made of the image's Python packages. Run by the Dockerfile.

It adds Debian's packages of the final stage, and what the tool can't tell of rotator itself: its version.

    python3 sbom.py SBOM DPKG_STATUS VERSION
"""  # noqa: INP001  # a script of the image's build, not a package

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote


def debian(status: str) -> Iterator[dict[str, str]]:
    """A component for each package that dpkg's status file says is installed."""
    for paragraph in status.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status") == "install ok installed":
            name, version = fields["Package"], fields["Version"]
            purl = f"pkg:deb/debian/{name}@{quote(version)}?arch={fields['Architecture']}"
            yield {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def complete(sbom: Path, status: Path, version: str) -> None:
    """Rewrite the file."""
    document = json.loads(sbom.read_text())
    document["metadata"]["component"] |= {"version": version, "purl": f"pkg:pypi/northflank-rotator@{version}"}
    document["components"] += debian(status.read_text())
    sbom.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    complete(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
