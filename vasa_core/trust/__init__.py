"""Who may be animated, and the one door through which pictures and videos leave."""
