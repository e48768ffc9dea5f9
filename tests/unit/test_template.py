"""What `pulumi new` copies: .gitattributes leaves the rest out of archives."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from os.path import normpath
from pathlib import Path, PurePosixPath

import pytest
import yaml

ROOT = Path(__file__).parents[2]

LEFT_OUT = "## In the repository\n"
"""The heading of the README's section about pages that are not in an archive."""


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    """Return the texts of all files in an archive, by their paths."""
    command = ["git", "archive", "--worktree-attributes", "HEAD"]
    archive = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        contents = {member.name: tar.extractfile(member) for member in tar.getmembers()}
        # Pictures are no text, and have no links.
        return {
            name: content.read().decode(errors="replace")
            for name, content in contents.items()
            if content
        }


def test_an_archive_holds_the_program_and_its_documentation_only(files: dict[str, str]) -> None:
    assert {name.split("/")[0] for name in files} == {
        *(".gitignore", "CHANGELOG.md", "LICENSE", "Pulumi.yaml"),
        *("README.md", "SECURITY.md"),
        *("__main__.py", "components", "docs", "examples", "prerequisites.py", "outputs.py"),
        *("page", "policy", "preflight", "requirements-policy.txt", "requirements.txt", "scripts"),
        *("settings", "stack.schema.json"),
    }


def test_an_archive_has_no_page_for_those_who_change_the_program(files: dict[str, str]) -> None:
    """A user of the program gets neither decisions nor a sandbox that is not there."""
    pages = {name for name in files if name.startswith("docs/")}
    assert not {
        page for page in pages if re.search("adr|gate|live|performance|reliability|sandbox", page)
    }
    assert {"docs/faq.md", "docs/maintenance.md", "docs/dashboard.svg"} <= pages


def heading_anchors(text: str) -> set[str]:
    """Return what links to headings end with, as Git hosts make it."""
    headings = re.findall("^#+ (.*)", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_each_link_of_the_documentation_leads_into_the_archive(files: dict[str, str]) -> None:
    folders = {str(parent) for name in files for parent in PurePosixPath(name).parents}
    pages = {name: text for name, text in files.items() if name.endswith(".md")}
    # Whoever reads this section in the repository can follow its links.
    pages["README.md"], section = pages["README.md"].split(LEFT_OUT)
    for link in re.findall(r"\]\(([^)\s]+)\)", section):
        assert (ROOT / link).exists(), link
    links = [
        (name, link)
        for name, text in pages.items()
        for link in re.findall(r"\]\(([^)\s]+)\)", text)
        if "://" not in link
    ]
    assert len(links) > 100
    for name, link in links:
        path, _, anchor = link.partition("#")
        target = normpath(PurePosixPath(name).parent / path) if path else name
        assert target in files or target in folders, f"{name}: {link}"
        assert not anchor or anchor in heading_anchors(files[target]), f"{name}: {link}"


def test_no_stack_file_is_in_an_archive_since_it_would_supply_settings(
    files: dict[str, str],
) -> None:
    assert not [name for name in files if name.startswith("Pulumi.") and name != "Pulumi.yaml"]


def test_a_new_project_asks_for_the_hostname_only() -> None:
    template = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["template"]
    assert list(template["config"]) == ["hostname"]
    assert "default" not in template["config"]["hostname"], "a default would be taken by --yes"
