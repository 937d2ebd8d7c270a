"""What ift-tui does: the light half (recipes, data, events, runs) and, in workers/, what trains."""

from pathlib import Path

RECIPES = Path(__file__).resolve().parent.parent / "recipes"
"""The data that ships with the program: recipes, bundled sets, the embedded model."""
