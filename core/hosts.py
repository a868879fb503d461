"""Host names: one rule wherever one comes in, from an operator or from another machine."""

import re
from typing import Annotated

from pydantic import Field

# Docker's names may hold an underscore, and an IPv4 address is one too.
_HOST_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,252}"

HostName = Annotated[str, Field(pattern=f"^{_HOST_NAME}$")]


def is_host_name(text: str) -> bool:
    """Tell whether this can be a host name or an IPv4 address, and nothing more: no scheme, port or path."""
    return re.fullmatch(_HOST_NAME, text) is not None
