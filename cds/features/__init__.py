"""Extractors: each turns one modality of a case into evidence."""
