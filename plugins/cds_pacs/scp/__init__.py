"""The storage SCP's engine: from the bytes of a connection to the intake, one thread for each."""
