"""The files that are generated from the settings, as a whole or in part."""

from __future__ import annotations

from pathlib import Path

from reference import json_schema, package_types, pages

ROOT = Path(__file__).parents[1]


def files() -> dict[str, str]:
    """Return what each file is to hold, by its path in the repository."""
    readme = (ROOT / "README.md").read_text()
    begin, end = "<!-- settings: `make reference` writes this -->\n", "<!-- end of settings -->\n"
    project = (ROOT / "Pulumi.yaml").read_text()
    project = pages.placed(project, "\nconfig:\n", "template:\n", pages.project_config())
    return {
        "README.md": pages.placed(readme, begin, end, pages.table()),
        "Pulumi.yaml": pages.placed(
            project, "\n  config:\n", "  important:", pages.template_config()
        ),
        "package/inputs.py": package_types.module(),
        "stack.schema.json": json_schema.text(),
    }
