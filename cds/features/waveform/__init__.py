"""Waveforms: electrocardiograms read by signal processing, and a recurrent network for series."""
