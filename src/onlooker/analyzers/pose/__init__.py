"""Body key points of tracked persons, and their postures."""

PLUGIN = "onlooker.analyzers.pose.analyzer:Pose"
"""The analyzer ``pose``; see README.md."""
