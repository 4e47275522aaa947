"""Bridges: one way of joining scales per file. They know adapters only by their interface."""
