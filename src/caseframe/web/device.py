"""What a browser calls itself, in two words that people know."""

from __future__ import annotations

# The first that stands in the text counts: each of these also names some that come after it.
_PROGRAMS = {
    "Edg/": "Edge", "OPR/": "Opera", "Firefox/": "Firefox", "Chrome/": "Chrome",
    "Chromium/": "Chromium", "Safari/": "Safari", "curl/": "curl", "python": "a Python program",
}  # fmt: skip
_SYSTEMS = {
    "iPhone": "iPhone", "iPad": "iPad", "Android": "Android", "Windows": "Windows",
    "Mac OS": "macOS", "CrOS": "ChromeOS", "Linux": "Linux",
}  # fmt: skip


def device(user_agent: str) -> str:
    """Program and system, or what the program says of itself where neither is known."""
    program = next((name for mark, name in _PROGRAMS.items() if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS.items() if mark in user_agent), "")
    if program and system:
        return f"{program} on {system}"
    return program or system or user_agent[:60] or "an unknown program"
