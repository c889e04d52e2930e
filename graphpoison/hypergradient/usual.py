"""How models are trained where nobody says otherwise."""

from .unrolled import Unrolled

NODES = Unrolled(steps=100, lr=0.1, momentum=0.9)
"""Surrogates of Metattack (Zügner and Günnemann 2019)."""
INTERACTIONS = Unrolled(steps=50, lr=0.05, optimizer="adam")
"""Recommenders, surrogates and victims alike; the thesis leaves it open."""
