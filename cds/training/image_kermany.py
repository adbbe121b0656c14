"""The published chest radiographs of children (Kermany et al., Cell 2018) as a folder and a manifest.

Data: doi 10.17632/rscbjbr9sj, CC BY 4.0. Article: doi 10.1016/j.cell.2018.02.010.
"""

from __future__ import annotations

import csv
import re
import tarfile
from pathlib import Path, PurePosixPath
from typing import Final

from cds.errors import ConfigError

_LABELS: Final = ("NORMAL", "PNEUMONIA")
_PERSON: Final = {"NORMAL": re.compile(r"IM-(\d+)"), "PNEUMONIA": re.compile(r"person(\d+)_")}
"""The persons of the two labels are numbered apart."""


def unpack(archive: Path, folder: Path) -> Path:
    """Write the images of a tar file and their manifest; the path of the manifest.

    Only regular files ``.../NORMAL/*.jpeg`` and ``.../PNEUMONIA/*.jpeg`` are taken, under names made
    here, so that nothing in the archive decides where a file goes.

    Raises
    ------
    ConfigError
        When the archive cannot be read or has no such image.
    """
    lines: list[tuple[str, str, str]] = []
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = PurePosixPath(member.name)
                if member.isfile() and name.suffix.lower() in (".jpeg", ".jpg") and name.parent.name in _LABELS:
                    stream = tar.extractfile(member)
                    if stream is not None:
                        lines.append(_written(stream.read(), name, folder))
    except (OSError, tarfile.TarError) as error:
        raise ConfigError(f"the archive {archive.name} cannot be read: {type(error).__name__}") from None
    if not lines:
        raise ConfigError(f"the archive {archive.name} has no JPEG in a folder NORMAL or PNEUMONIA")
    manifest = folder / "manifest.csv"
    with manifest.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("path", "label", "person"))
        writer.writerows(sorted(lines))
    return manifest


def person_of(label: str, name: str) -> str:
    """The person of an image file by the naming of the data set; the file itself where it has none."""
    found = _PERSON[label].search(name)
    return f"{label}-{int(found.group(1))}" if found else f"{label}-{name}"


def _written(content: bytes, name: PurePosixPath, folder: Path) -> tuple[str, str, str]:
    label = name.parent.name
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", name.name)
    target = folder / label / safe
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return f"{label}/{safe}", label, person_of(label, name.name)
