"""The training world: synthetic people, voices and performances with exact ground truth; never imported at run time."""
