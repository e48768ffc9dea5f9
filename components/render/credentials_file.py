"""The file that gives the registry its storage key."""

from __future__ import annotations


def credentials_file(access_key: str, secret_key: str) -> str:
    """Write an AWS shared credentials file with one profile, the default one.

    A file, since an environment variable shows in process listings and crash reports. The format:
    https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html

    Args:
        access_key: The storage key's public half.
        secret_key: Its secret.
    """
    return f"[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\n"
