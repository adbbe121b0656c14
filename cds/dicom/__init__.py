"""DICOM in: received bytes -> Header, files -> Study, slices -> Volume."""

import pydicom.config

# A value that breaks its VR's rule is the sender's affair, and the warning would print it.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
