"""Planning work, having it done, and collecting what came of it."""
