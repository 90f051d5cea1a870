"""Every shipped card is true of its weights; wrong cards are refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import pytest

from scnet_edge.errors import ModelError
from scnet_edge.models import cards
from scnet_edge.models.cards import (
    Card,
    CardConfig,
    find_card,
    find_chain,
    read_card,
    shipped_models,
    weights_of,
)
from scnet_edge.models.scnet import SCNetConfig
from scnet_edge.models.weights import measure_card


@pytest.mark.parametrize("card", shipped_models(), ids=lambda card: card.name)
def test_figures_are_those_of_the_weights(card: Card) -> None:
    assert measure_card(card, card.path) == card


@pytest.mark.parametrize("card", shipped_models(), ids=lambda card: card.name)
def test_metrics_hold_together(card: Card) -> None:
    if card.metrics is None:
        pytest.skip(f"{card.name} is not scored on cracks")
    m = card.metrics
    assert m.threshold == card.threshold
    assert m.ci95[0] <= m.f1 <= m.ci95[1]
    harmonic = 2 * m.precision * m.recall / (m.precision + m.recall)
    assert m.f1 == pytest.approx(harmonic, abs=2e-4)


def test_weights_have_cards_and_cards_weights() -> None:
    for folder in cards.folders():
        stems = {p.stem for p in folder.glob("*.safetensors")}
        assert stems == {p.stem for p in folder.glob("*.json")}


def test_deepcrack_licence_is_told() -> None:
    for card in shipped_models():
        if "DeepCrack" in card.data:
            assert "non-commercial" in card.data_licence


def test_folder_is_not_written(tmp_path: Path) -> None:
    card = find_card("hed")
    cards.write_card(tmp_path / "hed.json", card)
    assert b"folder" not in (tmp_path / "hed.json").read_bytes()
    assert read_card(tmp_path / "hed.json").path == tmp_path / "hed.safetensors"


def test_training_run_is_found_by_its_folder(tmp_path: Path) -> None:
    run = tmp_path / "mine"
    run.mkdir()
    with pytest.raises(ModelError, match="or the folder of a training run"):
        find_card(str(run))
    card = msgspec.structs.replace(find_card("hed"), name="mine", file="mine.safetensors")
    cards.write_card(run / "mine.json", card)
    assert find_card(str(run)).path == run / "mine.safetensors"


def test_card_config_mirrors_the_net() -> None:
    fields = [f.name for f in dataclasses.fields(SCNetConfig)]
    assert list(CardConfig.__struct_fields__) == fields


def test_names_are_found_or_listed() -> None:
    assert find_card("hed").kind == "hed"
    with pytest.raises(ModelError, match=r"'hed2': expected one of .*describes them$"):
        find_card("hed2")


def test_hed_is_no_crack_model() -> None:
    with pytest.raises(ModelError, match="detects edges, not cracks"):
        _ = find_card("hed").takes_prior


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"colour": "red"}, "colour"),
        ({"threshold": 1.5}, "threshold"),
        ({"threshold": "half"}, "threshold"),
        ({"sha256": "abc"}, "sha256"),
        ({"file": "../other.safetensors"}, "file must be"),
        ({"kind": "scnet"}, "config do not agree"),
        ({"hed_width": None}, "hed_width do not agree"),
        ({"prior": "hed"}, "edges False and prior 'hed' do not agree"),
        ({"name": "other", "file": "other.safetensors"}, "names 'other'"),
    ],
    ids=str,
)
def test_wrong_cards_are_one_line(tmp_path: Path, change: dict[str, object], line: str) -> None:
    card = msgspec.to_builtins(find_card("hed")) | change
    (tmp_path / "hed.json").write_bytes(msgspec.json.encode(card))
    with pytest.raises(ModelError, match=line) as caught:
        read_card(tmp_path / "hed.json")
    assert "\n" not in str(caught.value)


def test_card_that_is_no_json(tmp_path: Path) -> None:
    (tmp_path / "hed.json").write_text("{")
    with pytest.raises(ModelError, match=r"hed\.json"):
        read_card(tmp_path / "hed.json")


def test_an_installed_package_looks_only_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cards, "PACKAGE", tmp_path / "scnet_edge")
    monkeypatch.setattr(cards, "CHECKOUT", tmp_path)
    (tmp_path / "weights").mkdir()  # somebody else's, in site-packages
    assert cards.folders() == [tmp_path / "scnet_edge" / "weights"]
    assert shipped_models() == []
    with pytest.raises(ModelError, match=r"none found.*other models need a clone"):
        find_card("hed")


def test_a_chain_is_the_model_and_the_hed_that_it_names() -> None:
    scnet, hed = find_card("scnet"), find_card("hed")
    assert find_chain(scnet) == [scnet, hed]
    assert weights_of(scnet) == {"scnet": scnet.sha256, "hed": hed.sha256}
    small = find_card("scnet-small")
    assert find_chain(small) == [small]
    other = msgspec.structs.replace(scnet, prior="hed2")
    with pytest.raises(ModelError, match="'hed2': expected one of"):
        find_chain(other)


def test_operations_are_scaled_by_pixels() -> None:
    card = find_card("scnet-small")
    assert card.size_hw == (384, 544)
    assert card.gmac_at((192, 544)) == pytest.approx(card.gmac / 2)
