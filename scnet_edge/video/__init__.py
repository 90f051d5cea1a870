"""Video as people have it, one way to read it: own times, whole, upright, square pixels, BGR."""
