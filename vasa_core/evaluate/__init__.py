"""Judges: what was promised, measured on real clips of the engine."""
