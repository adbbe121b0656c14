"""What `benchmarks/receive.py` and `benchmarks/send.py` are made of: wire, sender, receivers, table."""
