"""What the node shows over HTTP: whether it is well, and its results to viewers.

`/healthz`, `/readyz` and `/metrics` carry no patient data and are open; `/dicom-web` gives our
results, and only ours, to the peers of the configuration.
"""

from cds.web.server import serving

__all__ = ["serving"]
