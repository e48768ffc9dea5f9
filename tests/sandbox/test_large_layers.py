"""Layers that are large, or take long."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from tests.sandbox.clients import slow_upload
from tests.sandbox.helpers import Sandbox


@pytest.mark.long
def test_a_layer_of_a_gibibyte_goes_in_and_comes_back(sandbox: Sandbox, tmp_path: Path) -> None:
    # Random, so that nothing compresses it, and stored without trying: 1 GiB takes 1 GiB.
    tar = tmp_path / "layer.tar.gz"
    with (
        gzip.open(tar, "wb", compresslevel=0) as file,
        tarfile.open(fileobj=file, mode="w|") as out,
    ):
        for part in range(16):
            entry = tarfile.TarInfo(f"part{part}")
            entry.size = 2**26
            content = io.BytesIO(os.urandom(entry.size))
            out.addfile(entry, content)
    sent = hashlib.sha256(tar.read_bytes()).hexdigest()
    target = f"{sandbox.registry}/big/layer:1"
    crane = ["env", f"DOCKER_CONFIG={tmp_path}", "crane"]
    login = [*crane, "auth", "login", sandbox.registry, "--username=admin", "--password-stdin"]
    sandbox.run(*login, stdin=sandbox.password)
    sandbox.run(*crane, "append", f"--new_layer={tar}", f"--new_tag={target}")
    tar.unlink()
    manifest = json.loads(sandbox.run(*crane, "manifest", target).stdout)
    assert manifest["layers"][-1]["size"] > 2**30
    assert manifest["layers"][-1]["digest"] == f"sha256:{sent}"
    sandbox.run(*crane, "pull", "--format=oci", target, f"{tmp_path}/pulled")
    with (tmp_path / "pulled" / "blobs" / "sha256" / sent).open("rb") as pulled:
        assert hashlib.file_digest(pulled, "sha256").hexdigest() == sent


@pytest.mark.long
def test_a_layer_that_takes_75_s_arrives(sandbox: Sandbox) -> None:
    with slow_upload(sandbox) as upload:
        try:
            output, _ = upload.communicate(timeout=180)
        finally:
            upload.kill()
    assert "1 of 1 arrived" in output, output
    assert float(output.split(" after ")[1].split(" s")[0]) > 74, (
        "it was too fast to prove anything"
    )
