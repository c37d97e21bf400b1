"""Activity over time and place, from differences of small grey pictures."""

PLUGIN = "onlooker.analyzers.motion.analyzer:Motion"
