"""The captioning models: their files, the models themselves, the gRPC service and its client."""

import os

# gRPC's core writes its own remarks to standard error; all that matters reaches us as an error.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
