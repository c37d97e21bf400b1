"""Scenes and chapters: shots grouped by how alike they look and how near they lie."""

PLUGIN = "onlooker.analyzers.scenes.analyzer:Scenes"
