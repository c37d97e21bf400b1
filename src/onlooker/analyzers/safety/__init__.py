"""Whether pictures are fit for everybody."""

PLUGIN = "onlooker.analyzers.safety.analyzer:Safety"
