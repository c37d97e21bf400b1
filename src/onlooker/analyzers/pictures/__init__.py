"""Pictures as vectors beside texts, and labels of whole pictures."""

PLUGIN = "onlooker.analyzers.pictures.analyzer:Pictures"
