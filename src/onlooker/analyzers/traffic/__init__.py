"""Attributes, directions and counts of vehicles and pedestrians."""

PLUGIN = "onlooker.analyzers.traffic.analyzer:Traffic"
"""The analyzer ``traffic``; see README.md."""
