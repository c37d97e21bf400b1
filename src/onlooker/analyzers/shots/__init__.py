"""Shots: cuts, fades and dissolves."""

PLUGIN = "onlooker.analyzers.shots.analyzer:Shots"
