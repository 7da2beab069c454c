"""A table of somebody's own: ``source`` reads it, ``forms`` recognises it, ``data`` checks and writes it."""
