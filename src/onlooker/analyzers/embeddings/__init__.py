"""Vectors of what is said and written, for search by meaning."""

PLUGIN = "onlooker.analyzers.embeddings.analyzer:Embeddings"
