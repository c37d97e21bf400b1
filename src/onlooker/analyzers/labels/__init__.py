"""Labels of the source and its scenes, from what is seen and heard."""

PLUGIN = "onlooker.analyzers.labels.analyzer:Labels"
