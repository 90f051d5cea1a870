"""From masks to what an inspector wants to know."""
