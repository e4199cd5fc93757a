"""Imported by the fork server only: it leaves without taking its libraries apart.

That takes a tenth of a second, and whoever reads our output through a pipe waits for it, because
the fork server holds the other end of that pipe too. The workers leave in their own way.
"""

from __future__ import annotations

import atexit
import os

atexit.register(os._exit, 0)
