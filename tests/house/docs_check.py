"""What the documentation says must be so: links lead somewhere, commands exist, configurations are read.

Run by `./run lint`; every problem is printed with its file, and the exit status is 1 if there is one.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import typer.main

from cds import config
from cds.cli import app
from cds.errors import ConfigError

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?:^|`|\./run )cds ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?", re.MULTILINE)


def pages() -> list[Path]:
    """Every page that a user reads."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def broken_links(page: Path) -> Iterator[str]:
    """Relative links that lead nowhere."""
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target and not (page.parent / target).exists():
            yield f"link to {target} leads nowhere"


def wrong_configurations(page: Path) -> Iterator[str]:
    """Blocks of TOML that are no configuration; a block about something else starts with a comment ``# file:``."""
    for kind, text in FENCE.findall(page.read_text(encoding="utf-8")):
        if kind != "toml" or text.startswith("# file:"):
            continue
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "cds.toml"
            file.write_text(text, encoding="utf-8")
            try:
                config.read(file, {})
            except ConfigError as error:
                yield f"configuration refused: {str(error).removeprefix(str(file))}"


def unknown_commands(page: Path) -> Iterator[str]:
    """Commands of `cds` that do not exist."""
    for point in entry_points(group="cds.commands"):
        if point.name not in {group.name for group in app.registered_groups}:
            app.add_typer(point.load(), name=point.name)
    root = typer.main.get_command(app)
    known = getattr(root, "commands", {})
    code = "\n".join(re.findall(r"`[^`\n]+`", page.read_text(encoding="utf-8")))
    code += "\n".join(text for _, text in FENCE.findall(page.read_text(encoding="utf-8")))
    for name, inner in COMMAND.findall(code):
        if name not in known:
            yield f"there is no command `cds {name}`"
        elif inner and hasattr(known[name], "commands") and inner not in known[name].commands:
            yield f"there is no command `cds {name} {inner}`"


def unlisted_plugins() -> Iterator[str]:
    """Plugins of ours that the page on the architecture does not name."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for group in (
        "listeners",
        "records",
        "extractors",
        "fusion",
        "knowledge",
        "writers",
        "senders",
        "archives",
        "commands",
    ):
        for point in entry_points(group=f"cds.{group}"):
            if f"`{point.name}`" not in text:
                yield f"docs/architecture.md does not name the plugin {point.name} of cds.{group}"


def main() -> int:
    """Print every problem; 1 if there is one."""
    problems = list(unlisted_plugins())
    for page in pages():
        for check in (broken_links, wrong_configurations, unknown_commands):
            problems += [f"{page.relative_to(ROOT)}: {problem}" for problem in check(page)]
    for problem in problems:
        print(problem)
    print(f"docs: {len(pages())} pages, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
