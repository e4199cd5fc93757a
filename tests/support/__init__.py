"""What tests share: running the command line, plug-ins made on the spot, PostgreSQL."""
