"""The browser and the REST interface: HTML, JSON under /api/v1, server-sent events."""
