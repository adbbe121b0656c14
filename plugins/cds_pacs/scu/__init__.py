"""The SCU: associations of our own, to deliver, to ask, and to speak of commitments."""
