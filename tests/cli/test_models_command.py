"""`scnet-edge models` prints what the cards say, without torch."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import scnet_edge.cli.evaluate  # registers the command
import scnet_edge.cli.models  # noqa: F401  (registers the command)
from scnet_edge.cli import main
from scnet_edge.models.cards import shipped_models


def output_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> str:
    monkeypatch.setattr(sys, "argv", ["scnet-edge", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code
    return capsys.readouterr().out


def test_every_model_is_described(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = output_of(monkeypatch, capsys, "models").splitlines()
    for card in shipped_models():
        (at,) = (i for i, line in enumerate(lines) if line.startswith(f"{card.name}: "))
        size, f1, licence, weights = lines[at : at + 4]
        assert len(size) <= 80
        assert f" {card.parameters / 1e6:.2f} M parameters" in size
        assert f1.endswith("-") == (card.metrics is None)
        if card.metrics:
            assert f" {card.metrics.f1:.3f} [" in f1
        assert card.licence in licence
        assert card.file in weights
        assert card.sha256[:12] in weights


def test_json_is_the_cards(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = json.loads(output_of(monkeypatch, capsys, "models", "--json"))
    assert [(x["name"], x["sha256"]) for x in listed] == [
        (card.name, card.sha256) for card in shipped_models()
    ]
    assert all(x["path"].endswith(x["file"]) for x in listed)


def test_torch_stays_out() -> None:
    code = (
        "import sys; import scnet_edge.cli.models as m, scnet_edge.cli.evaluate; m.models();"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_evaluation_of_bundles_needs_no_torch() -> None:
    code = (
        "import sys; import scnet_edge.evaluation.predict, scnet_edge.runtime.pipeline;"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
