"""For tests: an intake that remembers, and an origin server that fails on request."""

from cds_dicomweb.testing.intake import RememberingIntake
from cds_dicomweb.testing.origin import Origin

__all__ = ["Origin", "RememberingIntake"]
