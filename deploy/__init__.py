"""Running Caseframe as services: on this machine, or in containers."""
