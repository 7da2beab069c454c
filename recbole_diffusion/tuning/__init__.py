"""Sweeps on Ray Tune: search space, trials as run folders, driver, outputs. Ray is imported late."""
