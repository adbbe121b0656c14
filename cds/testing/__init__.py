"""Doubles, phantoms and contract checks, for us and for plugin authors."""
