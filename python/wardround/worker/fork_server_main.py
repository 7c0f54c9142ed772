"""Starts the fork server; adds the package's folder, which ``-I`` leaves out of the module path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from wardround.worker import fork_server  # noqa: E402

fork_server.main()
