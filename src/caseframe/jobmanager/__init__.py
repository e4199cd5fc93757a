"""The job manager as a service: jobs and the bytes of pictures over gRPC."""
