"""Stages: each looks at one picture and says what it found there."""
