"""Who may ask: this machine's own user, in a page that `codemill browse` served.

the socket        bound to 127.0.0.1
Host              must be that address or localhost with the port, so a name that is rebound to this machine's address
                  (DNS rebinding) is refused
token             random, in the address that is printed; then in a cookie. Other users of the machine don't have it
Sec-Fetch-Site    a page of another site may link here, but not load, embed or ask anything
method            GET or HEAD, so nothing can be changed
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

HOST: Final = "127.0.0.1"
TOKEN: Final = "token"
_METHODS: Final = ("GET", "HEAD")

# Nothing is loaded but the style sheet, nothing runs, no other page can embed these, and no address leaks.
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True)
class Access:
    """The rules for one server.

    Args:
        port: Its port.
        token: The token that a reader must have.
    """

    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def cookie(self) -> str:
        """The name of the cookie; cookies of all ports of a host are sent to each."""
        return f"codemill_browse_{self.port}"

    @property
    def address(self) -> str:
        """The address to open."""
        return f"http://{HOST}:{self.port}/?{TOKEN}={self.token}"

    def refusal(self, method: str, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Why a request is refused whoever sends it: status and text; None if it may be asked."""
        if method not in _METHODS:
            return 405, "nothing can be changed here"
        if headers.get("Host", "") not in (f"{HOST}:{self.port}", f"localhost:{self.port}"):
            return 421, f"this is {HOST}:{self.port} and nothing else"
        if headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            is_link = headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
            if not is_link:
                return 403, "pages of other sites can only link here"
        return None

    def has_token(self, token: str | None) -> bool:
        """Whether a reader has the token."""
        return token is not None and hmac.compare_digest(token.encode(errors="replace"), self.token.encode())
