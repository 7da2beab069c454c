"""Models by family; each reads like its paper, equation by equation."""
