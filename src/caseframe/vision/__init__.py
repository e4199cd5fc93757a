"""The captioning models: their files, the models themselves, the gRPC service and its client."""
