"""People, vehicles, animals and things, and their tracks."""

PLUGIN = "onlooker.analyzers.objects.analyzer:Objects"
