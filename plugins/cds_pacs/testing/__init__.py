"""A PACS for tests and demonstrations: it stores, is queried, forwards, and fails on request."""

from cds_pacs.testing.archive import Archive, StoredObject
from cds_pacs.testing.mini_pacs import Faults, MiniPacs
from cds_pacs.testing.reactor import mend_reactor

mend_reactor()

__all__ = ["Archive", "Faults", "MiniPacs", "StoredObject"]
