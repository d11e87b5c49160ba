"""The links of a manager: a Ceylon workspace of its own, a run over NATS, or both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ...messages import InvalidInput
from ..nats.address import NatsAddress, check_files, is_nats_url

CEYLON = "ceylon"


class ManagerLinks(NamedTuple):
    """Over which links a manager is reached.

    Args:
        has_ceylon: whether it opens a Ceylon workspace, or joins one as a guest.
        nats: the NATS servers; None if it uses none.
    """

    has_ceylon: bool
    nats: NatsAddress | None


def choose_links(
    link: str | Sequence[str],
    nats_creds: str | Path | None,
    tls_ca: str | Path | None,
    *,
    is_guest: bool,
) -> ManagerLinks:
    """Read the argument `link`: "ceylon", the URL of NATS servers, or a list of both.

    Raises:
        InvalidInput: it is something else, or a file is not there.
    """
    check_files(nats_creds, tls_ca)
    given = [link] if isinstance(link, str) else list(link)
    urls = [each for each in given if is_nats_url(each)]
    others = [each for each in given if each not in urls]
    if not given or len(urls) > 1 or others not in ([], [CEYLON]):
        shown = [NatsAddress.parse(each).without_password().url for each in urls] + others
        raise InvalidInput(
            f"link is {shown!r}; give {CEYLON!r}, the URL of NATS servers such as "
            "'nats://host:4222', or a list of both; several servers of one cluster are one URL, "
            "with commas between them"
        )
    if urls and is_guest:
        raise InvalidInput(
            "link names NATS servers, and admin_peer a Ceylon workspace to join as a guest; "
            "leave one of them out"
        )
    nats = NatsAddress.parse(urls[0], nats_creds, tls_ca) if urls else None
    return ManagerLinks(bool(others), nats)
