"""The PyTorch reference of a recipe."""

from __future__ import annotations

from scnet_edge.bundle.recipe import Recipe
from scnet_edge.errors import ConfigError
from scnet_edge.models.cards import Card
from scnet_edge.models.chain import Chain
from scnet_edge.models.weights import open_prior, open_scnet


def open_chain(card: Card, recipe: Recipe) -> Chain:
    """Return the PyTorch FP32 reference of a recipe, in eval mode.

    Raises:
        ConfigError: split_graphs are asked for of a model that is one network.
    """
    if recipe.split_graphs and not card.takes_prior:
        raise ConfigError(
            f"split_graphs: expected a model behind an HED, found {card.name}, which is one "
            "network; leave --split-graphs out"
        )
    return Chain(
        open_scnet(card),
        open_prior(card),
        frame_hw=recipe.frame_hw or recipe.size_hw,
        size_hw=recipe.size_hw,
        edge_threshold=recipe.edge_threshold,
    ).eval()
