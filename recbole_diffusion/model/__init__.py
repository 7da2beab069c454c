"""One file a model; each reads like its paper, equation by equation."""
