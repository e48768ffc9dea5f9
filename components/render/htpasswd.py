"""The file that tells the registry who may log in."""

from __future__ import annotations

import string

import bcrypt

COST = 5
"""The registry verifies every request and caches nothing: 2 ms at cost 5, 52 ms at cost 10. With
random passwords of 190 bits nothing is lost, and an unknown user takes as long as a known one,
since the registry's dummy hash has this cost too:
https://github.com/distribution/distribution/blob/v3.1.2/registry/auth/htpasswd/htpasswd.go"""

_STANDARD = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
_BCRYPT = "./" + string.ascii_uppercase + string.ascii_lowercase + string.digits
"""bcrypt's own order of base64 digits: https://man.openbsd.org/crypt_checkpass.3"""


def htpasswd_line(user: str, password: str, salt: str) -> str:
    """Write one user's line; the same arguments always give the same line.

    Args:
        user: The name to log in with; no colon in it.
        password: At most 72 bytes, as bcrypt ignores what follows.
        salt: 16 random bytes in base64.
    """
    digits = salt.rstrip("=").translate(str.maketrans(_STANDARD, _BCRYPT))
    hashed = bcrypt.hashpw(password.encode(), f"$2b${COST:02}${digits}".encode())
    return f"{user}:{hashed.decode()}\n"
