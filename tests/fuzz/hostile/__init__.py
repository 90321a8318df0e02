"""Hostile input for everything that reads: strategies that make it, targets that must bear it."""
