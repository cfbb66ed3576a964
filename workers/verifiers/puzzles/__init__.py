"""Forms and rules of reasoning-gym's sets. For `puzzle`."""
