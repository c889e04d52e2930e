"""Recommenders as victims."""
