"""What a picture looks like, measured: its colours, light, sharpness and kind; pure functions."""
