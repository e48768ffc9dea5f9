"""containerd's files, linked from the store that all sandboxes of a checkout share."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.build import image_store


def fill(tools: Path, images: str) -> Path:
    """Write a store by hand, and return its folder."""
    store = tools / "images" / "containerd"
    (store / "content").mkdir(parents=True, exist_ok=True)
    (store / "content" / "blob").write_text(images)
    (store / "content" / "link").unlink(missing_ok=True)
    (store / "content" / "link").symlink_to("blob")
    (store / "meta.db").write_text(images)
    (store / "sandbox-images").write_text(images)
    return store


def test_files_are_linked_and_databases_copied(tmp_path: Path) -> None:
    store, node = fill(tmp_path, "one"), tmp_path / "node"
    image_store.link(tmp_path, node)
    assert (node / "content" / "blob").samefile(store / "content" / "blob")
    assert (node / "content" / "link").readlink() == Path("blob")
    assert (node / "meta.db").read_text() == "one"
    assert not (node / "meta.db").samefile(store / "meta.db")


def test_what_a_node_has_stays_while_the_images_are_the_same(tmp_path: Path) -> None:
    fill(tmp_path, "one")
    node = tmp_path / "node"
    image_store.link(tmp_path, node)
    (node / "meta.db").write_text("with a container")
    image_store.link(tmp_path, node)
    assert (node / "meta.db").read_text() == "with a container"


def test_other_images_replace_those_that_a_node_has(tmp_path: Path) -> None:
    fill(tmp_path, "one")
    node = tmp_path / "node"
    image_store.link(tmp_path, node)
    (node / "old").touch()
    (tmp_path / "images" / "containerd" / "content" / "blob").unlink()
    fill(tmp_path, "two")
    image_store.link(tmp_path, node)
    assert (node / "content" / "blob").read_text() == "two"
    assert not (node / "old").exists()


def test_links_that_were_interrupted_are_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "one")
    node = tmp_path / "node"
    with monkeypatch.context() as patch:
        patch.setattr("os.link", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            image_store.link(tmp_path, node)
    image_store.link(tmp_path, node)
    assert (node / "content" / "blob").read_text() == "one"
