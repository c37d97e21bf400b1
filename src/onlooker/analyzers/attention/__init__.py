"""Where faces look, closed eyes, moving mouths and drowsiness."""

PLUGIN = "onlooker.analyzers.attention.analyzer:Attention"
"""The analyzer ``attention``; see README.md."""
