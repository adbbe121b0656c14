"""Waveform files, WFDB or DICOM, joined to a study by an index of whose they are."""
