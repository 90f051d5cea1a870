"""A corpus: what belongs to which split, and what a wrong file is told."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from scnet_edge.data.corpus import by_domain, read_corpus
from scnet_edge.data.datasets import open_dataset
from scnet_edge.errors import ConfigError, InputError

SET = '[[set]]\nname = "{name}"\ndata = "{data}"\nshare = {share}\nlicence = "mine"\n'


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten images run-0 to run-9, without masks."""
    folder = tmp_path / "pictures" / "images"
    folder.mkdir(parents=True)
    for i in range(10):
        cv2.imwrite(str(folder / f"run-{i}.png"), np.full((18, 22, 3), 10 * i, np.uint8))
    monkeypatch.setenv("PICTURES", str(folder.parent))
    return folder.parent


def written(folder: Path, text: str) -> Path:
    path = folder / "corpus.toml"
    path.write_text(text)
    return path


def test_images_without_a_crack_have_black_masks_and_no_mask_files(pictures: Path) -> None:
    train, test = (open_dataset(f"negative:{pictures}", split) for split in ("train", "test"))
    assert (len(train), len(test)) == (8, 2)
    frame, mask = train[0].read_frame(), train[0].read_mask()
    assert mask.shape == frame.shape[:2] == (18, 22)
    assert not mask.any()
    assert open_dataset(f"negative:{pictures / 'images'}", "all")[3].name == "run-3"


def test_where_a_crack_is_that_nobody_marked_is_not_known(pictures: Path) -> None:
    sample = open_dataset(f"image-level:{pictures}", "all")[0]
    with pytest.raises(InputError, match="shows a crack somewhere, but has no mask"):
        sample.read_mask()


def test_patterns_split_by_name_and_variables_name_the_place(pictures: Path) -> None:
    text = 'licence = "mine"\n' + SET.format(name="runs", data="negative:$PICTURES", share=1)
    corpus = read_corpus(written(pictures, text + 'skip = ["run-9"]\ntest = ["run-[67]", "run-8"]'))
    names = {
        split: [sample.name[-1] for sample in corpus.sets[0].samples(split)]
        for split in ("train", "test", "all")
    }
    assert names == {"train": list("012345"), "test": list("678"), "all": list("012345678")}


def test_sets_of_one_domain_are_together(pictures: Path) -> None:
    text = 'licence = "mine"\n'
    for name, domain in (("a", "pipe"), ("b", ""), ("c", "pipe")):
        text += SET.format(name=name, data="negative:$PICTURES", share=1) + f'domain = "{domain}"\n'
    domains = by_domain(read_corpus(written(pictures, text)).sets)
    assert {d: [s.name for s in sets] for d, sets in domains.items()} == {
        "pipe": ["a", "c"],
        "b": ["b"],
    }


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "missing required field"),
        ('licence = "mine"\nset = []', "length >= 1"),
        ('licence = "mine"\n' + SET.format(name="a", data="negative:x", share=0), "no set has a"),
        ('licence = "mine"\n' + 2 * SET.format(name="a", data="negative:x", share=1), "one name"),
        ('licence = "mine"\n' + SET.format(name="a", data="negative:x", share=-1), ">= 0"),
        ('licence = "mine"\nextra = 1\n', "unknown field `extra`"),
        (
            'licence = "mine"\nscale = [2.0, 1.0]\n'
            + SET.format(name="a", data="folder:x", share=1),
            "from the smaller to the larger",
        ),
        (
            'licence = "mine"\nblended = 0.1\n' + SET.format(name="a", data="folder:x", share=1),
            "a set that lends and one that takes",
        ),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        read_corpus(written(tmp_path, text))


@pytest.mark.parametrize(
    ("data", "more", "line"),
    [
        ("negative:$NOT_SET_ANYWHERE/x", "", "the variable is not set"),
        ("negative:$PICTURES", 'skip = ["*"]', "no image is left for split 'train'"),
        ("negative:$PICTURES", 'test = ["*"]', "no image is left for split 'train'"),
    ],
)
def test_a_set_that_cannot_be_had_is_one_line(
    pictures: Path, data: str, more: str, line: str
) -> None:
    text = 'licence = "mine"\n' + SET.format(name="a", data=data, share=1) + more
    with pytest.raises(ConfigError, match=line):
        read_corpus(written(pictures, text)).sets[0].samples("train")


@pytest.mark.parametrize("name", ["field", "open"])
def test_the_corpora_of_the_project_are_read(root: Path, name: str) -> None:
    corpus = read_corpus(root / "corpora" / f"{name}.toml")
    assert all(each.licence for each in corpus.sets)
    if name == "open":  # nothing of it may forbid a business to use it
        free = ("CC0", "MIT", "CC BY 4.0")
        assert all(each.licence.startswith(free) for each in corpus.sets)


def test_the_split_is_by_plain_name_however_files_are_listed(tmp_path: Path) -> None:
    for i in range(1, 26):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.zeros((20, 20, 3), np.uint8))
    names = sorted(f"{i}.png" for i in range(1, 26))  # 1, 10, 11, ..., 2, 20
    expected = {names[i] for i in np.random.default_rng(0).permutation(25)[:5]}
    found = {sample.image.name for sample in open_dataset(f"negative:{tmp_path}", "test")}
    assert found == expected
