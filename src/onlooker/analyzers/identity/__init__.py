"""Whose face a track shows and whose voice a speaker has: people enrolled, and unknown ones over all sources."""

PLUGIN = "onlooker.analyzers.identity.analyzer:Identity"
"""The analyzer ``identity``; see README.md."""
