"""One module a scorer, called as the scorer is; `base` is their interface. The packages hold what they are made of."""
