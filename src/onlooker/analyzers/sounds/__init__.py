"""What is heard: voices, music, animals, alarms, glass, shots, weather and more, with loudness."""

PLUGIN = "onlooker.analyzers.sounds.analyzer:Sounds"
