"""Chest CT: lungs, nodules, and the extractor that reports them."""
