"""Selection rules, one module each: which of the measured prompts are worth their rollouts."""
