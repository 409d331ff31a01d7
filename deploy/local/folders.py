"""Where the local servers keep what they need: one home, in one place."""

import os
from collections.abc import Mapping
from pathlib import Path


def home_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return ``$CHEVET_HOME/var``, else ``chevet`` in the user's cache directory.

    The folder need not exist yet.
    """
    if chosen := environ.get("CHEVET_HOME"):
        return Path(chosen).expanduser().absolute() / "var"
    if cache := environ.get("XDG_CACHE_HOME"):
        return Path(cache).absolute() / "chevet"
    return Path.home() / ".cache" / "chevet"
