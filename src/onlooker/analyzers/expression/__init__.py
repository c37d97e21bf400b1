"""Expressions of faces, and age bands where asked for."""

PLUGIN = "onlooker.analyzers.expression.analyzer:Expression"
