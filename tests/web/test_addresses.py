"""Which addresses may be fetched from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.agents.web.addresses import AddressRules
from muster.messages import InvalidInput


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "this machine itself"),
        ("127.8.9.10", "this machine itself"),
        ("::1", "this machine itself"),
        ("0.0.0.0", "an address of a private network"),
        ("::", "an address of a private network"),
        ("10.0.0.1", "an address of a private network"),
        ("172.16.0.1", "an address of a private network"),
        ("192.168.1.1", "an address of a private network"),
        ("fd12:3456::1", "an address of a private network"),
        ("100.64.0.1", "not an address of the public internet"),
        ("255.255.255.255", "an address of a private network"),
        ("169.254.10.1", "a link-local address"),
        ("fe80::1%eth0", "a link-local address"),
        ("fec0::1", "a link-local address"),
        ("224.0.0.1", "a multicast address"),
        ("ff02::1", "a multicast address"),
        ("169.254.169.254", "a cloud's metadata service"),
        ("168.63.129.16", "a cloud's metadata service"),
        ("100.100.100.200", "a cloud's metadata service"),
        ("fd00:ec2::254", "a cloud's metadata service"),
        ("::ffff:127.0.0.1", "this machine itself"),
        ("::ffff:169.254.169.254", "a cloud's metadata service"),
        ("::127.0.0.1", "this machine itself"),
        ("64:ff9b::10.0.0.1", "an address of a private network"),
        ("2002:7f00:1::", "this machine itself"),
        ("localhost", "not an IP address"),
    ],
)
def test_what_is_not_public_is_refused_with_the_reason(address: str, why: str) -> None:
    assert AddressRules().refusal(address) == why


@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07::1"])
def test_the_public_internet_may_be_fetched_from(address: str) -> None:
    assert AddressRules().refusal(address) is None


def test_what_is_allowed_may_be_fetched_from_and_its_neighbours_not() -> None:
    rules = AddressRules(["10.1.0.0/16", "127.0.0.1"])
    assert rules.refusal("10.1.2.3") is None
    assert rules.refusal("::ffff:127.0.0.1") is None
    assert rules.refusal("10.2.0.1") == "an address of a private network"
    assert rules.refusal("127.0.0.2") == "this machine itself"


def test_allowing_what_is_no_network_says_how_to_write_one() -> None:
    with pytest.raises(InvalidInput, match=r"'intranet' is neither .*10\.1\.0\.0/16"):
        AddressRules(["intranet"])


@given(st.ip_addresses(v=4))
def test_an_address_within_an_ipv6_address_fares_as_by_itself(inner: object) -> None:
    rules = AddressRules()
    if (why := rules.refusal(str(inner))) is not None:
        assert rules.refusal(f"::ffff:{inner}") == why
        assert rules.refusal(f"64:ff9b::{inner}") == why


@given(st.ip_addresses(network="10.0.0.0/8") | st.ip_addresses(network="fc00::/7"))
def test_no_private_address_slips_through(address: object) -> None:
    assert AddressRules().refusal(str(address)) is not None
