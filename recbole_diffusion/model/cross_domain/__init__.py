"""Cold users of a target domain, from what they rated in a source domain."""
