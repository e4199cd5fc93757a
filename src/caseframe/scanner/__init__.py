"""Reading evidence: walking a source, typing, hashing and decoding; never writes to a source."""
