"""Types and rules that every other room shares; imports nothing of ours."""
