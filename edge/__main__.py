"""`python -m edge`: check everything that can be checked beforehand, then serve."""

import sys

from core.errors import AgentError
from core.log import configure_logging
from core.settings import SettingsFault
from edge.keys import load_or_make_keys
from edge.serve import EdgeServer
from edge.settings import load_settings

_WRONG_SETUP = 2  # nothing that a restart would cure


def main() -> None:
    """Serve until SIGTERM.

    Raises:
        SystemExit: with 2 where settings, keys or the data directory cannot be used; stderr says why.
    """
    configure_logging()
    try:
        settings = load_settings()
        keys = load_or_make_keys(settings.edge_data_dir / "noise-keys.json", settings.rathole_binary)
    except SettingsFault as fault:
        print(fault, file=sys.stderr)  # noqa: T201 - a line for each fault, as they are
        sys.exit(_WRONG_SETUP)
    except AgentError as error:
        print(error.message, file=sys.stderr)  # noqa: T201 - the sentence as it is
        sys.exit(_WRONG_SETUP)
    EdgeServer(settings, keys).run()


if __name__ == "__main__":
    main()
