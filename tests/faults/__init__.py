"""The faults of the design's list, each against a real `cds serve`; afterwards the promises are checked."""
