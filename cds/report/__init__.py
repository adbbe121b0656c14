"""One `Report`, many encodings: SR, Encapsulated PDF, JSON, terminal; the wording they share."""
