"""Write what is generated from the settings."""

from __future__ import annotations

from reference.files import ROOT, files

for path, text in files().items():
    (ROOT / path).write_text(text)
