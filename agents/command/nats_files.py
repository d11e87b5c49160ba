"""Passes the files for NATS servers on to connections, and to the worker processes of a command."""

from __future__ import annotations

import os
from pathlib import Path

from ..nats.address import CREDS_VARIABLE, TLS_CA_VARIABLE


def pass_on_files(nats_creds: Path | None, tls_ca: Path | None) -> None:
    """Name files in the environment, where connections look, and which worker processes get."""
    for variable, file in ((CREDS_VARIABLE, nats_creds), (TLS_CA_VARIABLE, tls_ca)):
        if file is not None:
            os.environ[variable] = str(file.absolute())
