"""The gated demo: a studio in the browser, for people with an account. Start it with `python -m demo` (`make app`)."""
