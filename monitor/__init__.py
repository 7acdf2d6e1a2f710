"""RUNS ON AN OPERATOR'S LAPTOP: a terminal screen of a farm, over its API; nothing else of ours is in it."""
