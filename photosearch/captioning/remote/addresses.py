"""The addresses of servers, as they are entered and shown."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit, urlunsplit

from photosearch.domain import display_path
from photosearch.errors import UsageError

_ENDPOINTS = ("/chat/completions", "/completions", "/models")


def base_url(address: str) -> str:
    """Return what the paths of the protocol are added to, from an address as people enter it.

    `gpu-box:8080` becomes `http://gpu-box:8080/v1`. Raises UsageError if it is none.
    """
    entered = address.strip()
    if "://" not in entered:
        entered = f"http://{entered}"
    try:
        url = urlsplit(entered)
        usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        usable = False
    if not (usable and entered.isprintable() and " " not in entered):
        raise UsageError(
            f"{display_path(address)} is no address of a server; one looks like "
            "http://192.168.1.20:8080"
        )
    if "@" in url.netloc:
        raise UsageError(
            f"Give the key of {display_path(url.hostname or '')} by the name of an environment "
            "variable, with --key-env, not in its address."
        )
    path = url.path.rstrip("/")
    for ending in _ENDPOINTS:
        path = path.removesuffix(ending)
    return urlunsplit((url.scheme, url.netloc, path or "/v1", "", ""))


def is_this_computer(url: str) -> bool:
    """Whether an address is of this computer itself, so that nothing leaves it."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
