"""Training: one loop, recipes as files, nothing lost (chapter 7)."""
