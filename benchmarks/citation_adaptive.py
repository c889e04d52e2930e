"""Attacks whose surrogate is the victim's own defence."""

import graphpoison as gp


def adaptive_attack(graph: gp.NodeGraph, victim: str, share: float) -> gp.Perturbation:
    raise NotImplementedError(victim)
