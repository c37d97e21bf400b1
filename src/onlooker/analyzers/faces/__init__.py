"""Faces, their five points, quality and tracks."""

PLUGIN = "onlooker.analyzers.faces.analyzer:Faces"
