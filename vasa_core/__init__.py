"""The engine: one portrait and a speech clip in, a lifelike talking head out."""
