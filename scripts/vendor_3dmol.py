#!/usr/bin/env python
"""Remake the copy of 3Dmol.js that reports carry, from its npm package.

    python scripts/vendor_3dmol.py            # the version on record
    python scripts/vendor_3dmol.py 2.5.5

Needs npm. Writes 3Dmol-min.js as it is in the package, its licence, and a record of the version and
the hashes, into protdiff/report/assets/. With the version on record, the hashes must be the same.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ASSETS = Path(__file__).parent.parent / "protdiff" / "report" / "assets"
RECORD = ASSETS / "3Dmol.json"
FILES = {"package/build/3Dmol-min.js": "3Dmol-min.js", "package/LICENSE": "3Dmol-LICENSE.txt"}


def fetch_package(version: str, folder: Path) -> Path:
    """Have npm fetch the package; return the archive."""
    command = ["npm", "pack", f"3dmol@{version}", "--pack-destination", str(folder), "--silent"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (archive,) = folder.glob("3dmol-*.tgz")
    return archive


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    parser.add_argument("version", nargs="?", default=record.get("version", "2.5.5"))
    version = parser.parse_args().version
    with tempfile.TemporaryDirectory() as folder:
        archive = fetch_package(version, Path(folder))
        with tarfile.open(archive) as package:
            contents = {}
            for member, name in FILES.items():
                file = package.extractfile(member)
                if file is None:
                    sys.exit(f"3dmol {version} has no {member}")
                contents[name] = file.read()
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    if record.get("version") == version and record["sha256"] != hashes:
        sys.exit(f"3dmol {version} is not what it was: {hashes}, and on record {record['sha256']}")
    for name, content in contents.items():
        (ASSETS / name).write_bytes(content)
    facts = {
        "name": "3Dmol.js",
        "package": "3dmol",
        "version": version,
        "license": "BSD-3-Clause",
        "sha256": hashes,
    }
    RECORD.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    print(f"3dmol {version} is in {ASSETS}")


if __name__ == "__main__":
    main()
