"""What we speak of: frozen values, standard library only."""
