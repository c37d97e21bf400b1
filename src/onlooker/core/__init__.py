"""The vocabulary of onlooker: time, media, observations, protocols and errors. No I/O."""
