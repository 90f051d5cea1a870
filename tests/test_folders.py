"""A folder is whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from scnet_edge import folders
from scnet_edge.errors import ConfigError
from scnet_edge.folders import new_folder


def fill(out: Path, text: str, *, overwrite: bool = False) -> None:
    with new_folder(out, marker="mark", overwrite=overwrite) as folder:
        (folder / "mark").write_text(text)


def test_takes_its_name_at_the_end(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with new_folder(out, marker="mark") as folder:
        (folder / "mark").write_text("x")
        assert not out.exists()
    assert [p.name for p in out.iterdir()] == ["mark"]
    assert [p.name for p in out.parent.iterdir()] == ["out"]


def test_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "out", marker="mark") as folder:
        (folder / "mark").write_text(f"half {1 / 0}")
    assert not list(tmp_path.iterdir())


def test_failed_overwrite_keeps_the_older(tmp_path: Path) -> None:
    fill(tmp_path / "out", "older")
    with (
        pytest.raises(RuntimeError),
        new_folder(tmp_path / "out", marker="mark", overwrite=True),
    ):
        raise RuntimeError
    assert (tmp_path / "out" / "mark").read_text() == "older"


def test_overwrites_only_on_request_and_only_what_is_ours(tmp_path: Path) -> None:
    out = tmp_path / "out"
    fill(out, "older")
    with pytest.raises(ConfigError, match="--overwrite"):
        fill(out, "newer")
    fill(out, "newer", overwrite=True)
    assert (out / "mark").read_text() == "newer"
    (out / "mark").rename(out / "precious")
    with pytest.raises(ConfigError, match="not ours"):
        fill(out, "newest", overwrite=True)


def test_file_and_link_in_the_way_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link"):
        with pytest.raises(ConfigError, match="something else"):
            fill(tmp_path / name, "x", overwrite=True)


def test_a_file_above_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for name in ("file/b", "file/b/c"):
        with pytest.raises(ConfigError, match="file: expected a folder"):
            fill(tmp_path / name, "x")


def test_the_current_folder_and_a_volume_are_filled_from_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for text in ("older", "newer"):
        with new_folder(Path(), marker="mark", overwrite=True) as folder:
            (folder / "mark").write_text(text)
            (folder / f"only-{text}").mkdir()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mark", "only-newer"]
    monkeypatch.setattr(Path, "is_mount", lambda self: True)
    fill(tmp_path / "volume", "x")
    fill(tmp_path / "volume", "y", overwrite=True)
    assert (tmp_path / "volume" / "mark").read_text() == "y"


def test_an_older_folder_is_there_at_every_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traced: no rename takes the older away before the newer has its name."""
    out = tmp_path / "out"
    fill(out, "older")
    monkeypatch.setattr(Path, "rename", lambda *args: pytest.fail("two steps"))
    fill(out, "newer", overwrite=True)
    assert (out / "mark").read_text() == "newer"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_disk_that_cannot_exchange_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_exchange", lambda one, other: False)
    fill(tmp_path / "out", "older")
    fill(tmp_path / "out", "newer", overwrite=True)
    assert (tmp_path / "out" / "mark").read_text() == "newer"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_what_a_killed_process_left_is_no_obstacle(tmp_path: Path) -> None:
    left = tmp_path / "out" / ".out.0123456789abcdef.partial"
    left.mkdir(parents=True)
    fill(tmp_path / "out", "x")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mark"]


def test_only_known_names_are_overwritten(tmp_path: Path) -> None:
    fill(tmp_path / "out", "x")
    (tmp_path / "out" / "precious").write_text("x")
    with (
        pytest.raises(ConfigError, match="'precious', which is not ours"),
        new_folder(tmp_path / "out", marker="mark", names=["other"], overwrite=True),
    ):
        pass


def test_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    fill(tmp_path / "out", "x")
    assert (tmp_path / "out" / "mark").is_file()
