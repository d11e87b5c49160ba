"""A member that knows the secret speaks for itself, and for nobody else."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from muster.agents.kernel.delivery.frame_seal import Outgoing
from muster.agents.kernel.delivery.multiplexer import Multiplexer
from muster.agents.kernel.security.address_claims import CLAIM_KEPT_S, AddressClaims
from muster.agents.kernel.security.identity import Identity
from muster.agents.kernel.security.sealed_frame import (
    HEADER_BYTES,
    SEALED_VERSION,
    UNSIGNED_VERSION,
    FrameKind,
    Header,
    KeyRing,
    Speaker,
    pack_header,
    read_header,
)
from muster.messages import DecodeError, Flaw
from muster.messages.frame import (
    ANY_MANAGER,
    EVERYONE,
    Datagram,
    Frame,
    Section,
    encode_frame,
    encode_letter,
)

MALLORY = Identity(b"mallory".ljust(32, b"."))


def forged(estate: Any, seen: bytes, content: bytes = b"forged", identity: Any = MALLORY) -> bytes:
    """A frame in the session of another, sealed with the key that any member can derive."""
    header = read_header(seen)
    header = header._replace(counter=header.counter + 1_000)
    return KeyRing(estate.secret, "estate").key_for(header).seal(header, identity, content)


# ------------------------------------------------------------------------- another's session


def test_no_member_speaks_in_the_session_of_another_though_it_derives_the_key(
    estate: Any,
) -> None:
    manager, ada = estate.pair()
    from_ada, from_manager = estate.sent(ada), estate.sent(manager)
    assert estate.flaw(manager, forged(estate, from_ada)) is Flaw.FORGED_SENDER
    assert estate.flaw(ada, forged(estate, from_manager)) is Flaw.FORGED_SENDER
    ben = estate.client("ben")
    estate.let_in(manager, ben)
    assert estate.flaw(ben, forged(estate, from_ada)) is Flaw.FORGED_SENDER
    # What was forged counts as seen nowhere.
    for end, frame in ((manager, from_ada), (ada, from_manager), (ben, estate.sent(ada))):
        assert estate.opened(end, frame) == b"frame"


def test_a_signature_holds_for_its_own_frame_alone(estate: Any) -> None:
    manager, ada = estate.pair()
    seen = estate.sent(ada, b"the one")
    key = KeyRing(estate.secret, "estate").key_for(read_header(seen))
    # A member opens it, and takes the signature off.
    plain = key._cipher.decrypt(
        read_header(seen).counter.to_bytes(12, "big"),
        seen[HEADER_BYTES:],
        seen[:HEADER_BYTES] + b"estate",
    )
    for inside in (b"another" + plain[7:], plain[:-96] + b"x" + plain[-96:], plain[-96:]):
        sealed = key._cipher.encrypt(
            read_header(seen).counter.to_bytes(12, "big"), inside, seen[:HEADER_BYTES] + b"estate"
        )
        assert estate.flaw(manager, seen[:HEADER_BYTES] + sealed) is Flaw.FORGED_SENDER
    assert estate.opened(manager, seen) == b"the one"


def test_nobody_answers_a_knock_in_the_managers_session(estate: Any) -> None:
    manager, client = estate.pair()
    challenge = Header(FrameKind.CHALLENGE, manager._session, client._session, 1, 99)
    key = KeyRing(estate.secret, "estate").key_for(challenge)
    assert estate.flaw(client, key.seal(challenge, MALLORY)) is Flaw.FORGED_SENDER


@given(st.binary(max_size=150))
def test_whatever_a_member_seals_in_anothers_session_is_not_let_in(
    estate: Any, inside: bytes
) -> None:
    manager, ada = estate.pair()
    header = read_header(estate.sent(ada))
    clear = pack_header(header)
    key = KeyRing(estate.secret, "estate").key_for(header)
    if inside:
        nonce = header.counter.to_bytes(12, "big")
        sealed = clear + key._cipher.encrypt(nonce, inside, clear + b"estate")
        assert estate.flaw(manager, sealed) is Flaw.FORGED_SENDER


# ------------------------------------------------------------------------- another's address


def said_by(sender: str, to: str, message: bytes) -> bytes:
    return encode_frame(Frame(sender, (Section(to, encode_letter(Datagram((message,)))),)))


class Rooms:
    """A manager's mailroom, those of two clients, and a client that says what it likes."""

    def __init__(self, estate: Any) -> None:
        self.estate = estate
        seals = {name: estate.client(name) for name in ("ada", "ben", "mallory")}
        manager = estate.manager()
        for seal in seals.values():
            estate.let_in(manager, seal)
        self.seals = seals
        self.boss = Multiplexer("boss", seal=manager)
        self.manager = manager
        self.ada = Multiplexer("ada", seal=seals["ada"])
        self.ada.open("boss", "talk")
        self.boss.open("ada", "talk")

    def sent(self, name: str, sender: str, to: str, message: bytes = b"forged") -> bytes:
        return self.estate.sent(self.seals[name], said_by(sender, to, message))

    def told(self, room: Multiplexer, frame: bytes, now: float = 0.0) -> list[bytes] | Flaw:
        try:
            arrivals = room.receive(frame, now, frozenset({EVERYONE, ANY_MANAGER}))
        except DecodeError as fault:
            return fault.flaw
        return [each for arrival in arrivals if arrival.is_managers for each in arrival.messages]


@pytest.fixture
def rooms(estate: Any) -> Rooms:
    return Rooms(estate)


def test_an_address_belongs_to_whoever_spoke_from_there_first(rooms: Rooms) -> None:
    assert rooms.told(rooms.boss, rooms.sent("ada", "ada", "boss", b"hello")) == [b"hello"]
    for to in ("boss", ANY_MANAGER, EVERYONE):
        assert rooms.told(rooms.boss, rooms.sent("mallory", "ada", to)) is Flaw.FORGED_SENDER
    assert rooms.told(rooms.boss, rooms.sent("mallory", "mallory", "boss", b"I")) == [b"I"]
    assert rooms.told(rooms.boss, rooms.sent("ada", "mallory", "boss")) is Flaw.FORGED_SENDER


def test_among_clients_as_well_an_address_belongs_to_one_member(rooms: Rooms) -> None:
    assert rooms.told(rooms.ada, rooms.sent("ben", "ben", "ada", b"hello")) == []
    assert rooms.told(rooms.ada, rooms.sent("mallory", "ben", "ada")) is Flaw.FORGED_SENDER
    assert rooms.told(rooms.ada, rooms.sent("mallory", "boss", "ada")) is Flaw.FORGED_SENDER


def test_what_a_client_says_to_another_counts_for_no_managers_word(rooms: Rooms) -> None:
    frame = rooms.sent("mallory", "mallory", "ada")
    (arrival,) = rooms.ada.receive(frame, 0.0)
    assert not arrival.is_managers
    managers = rooms.estate.sent(rooms.manager, said_by("boss", "ada", b"work"))
    assert rooms.told(rooms.ada, managers) == [b"work"]


def test_a_manager_passes_on_what_members_elsewhere_say(rooms: Rooms) -> None:
    passed_on = rooms.estate.sent(rooms.manager, said_by("zoe", "ada", b"hello from afar"))
    assert rooms.told(rooms.ada, passed_on) == [b"hello from afar"]


def test_a_direct_connection_leads_to_the_member_whose_address_it_bears(rooms: Rooms) -> None:
    keys = {name: seal.identity.public_key for name, seal in rooms.seals.items()}
    assert rooms.manager.owns("ada", keys["ada"]) is None
    rooms.told(rooms.boss, rooms.sent("ada", "ada", "boss"))
    assert rooms.manager.owns("ada", keys["ada"]) is True
    assert rooms.manager.owns("ada", keys["mallory"]) is False
    managers = rooms.manager.identity.public_key
    assert rooms.seals["ada"].owns("boss", managers) is True
    assert rooms.seals["ada"].owns("boss", keys["mallory"]) is False


def test_by_a_direct_connection_its_peer_speaks_for_itself_alone(rooms: Rooms) -> None:
    for sender, flaw in (("ada", None), ("ben", Flaw.FORGED_SENDER), ("boss", Flaw.FORGED_SENDER)):
        frame = said_by(sender, "boss", b"by wire")
        if flaw is None:
            (arrival,) = rooms.boss.receive(frame, 0.0, from_direct="ada")
            assert arrival.messages == (b"by wire",)
        else:
            with pytest.raises(DecodeError) as caught:
                rooms.boss.receive(frame, 0.0, from_direct="ada")
            assert caught.value.flaw is flaw


SPEAKERS = [Speaker(version, bytes([number]) * 16) for version in (2, 3) for number in range(3)]


@given(
    sayings=st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from(SPEAKERS), st.floats(0, 2 * CLAIM_KEPT_S)),
        max_size=30,
    )
)
def test_an_address_changes_hands_only_after_silence(
    sayings: list[tuple[str, Speaker, float]],
) -> None:
    claims, now = AddressClaims(), 0.0
    owners: dict[str, tuple[Speaker, float]] = {}
    for address, speaker, after_s in sayings:
        now += after_s
        owner, last_received_at = owners.get(address, (speaker, now))
        is_allowed = owner == speaker or now - last_received_at >= CLAIM_KEPT_S
        assert claims.allows(address, speaker, now) is is_allowed
        if is_allowed:
            owners[address] = (speaker, now)
        assert claims.owner(address) == owners[address][0]


def test_only_so_many_addresses_are_remembered() -> None:
    claims = AddressClaims(limit=3)
    for number in range(10):
        claims.allows(f"at {number}", SPEAKERS[0], 0.0)
    assert [claims.owner(f"at {number}") is None for number in range(10)] == [True] * 7 + [
        False
    ] * 3


# ------------------------------------------------------------------------- copies of a machine


def test_two_copies_of_a_member_use_a_counter_twice_and_tell_nothing_by_it(estate: Any) -> None:
    manager = estate.manager()
    first, copy = estate.client("ada"), estate.client("ada")
    probe = estate.sent(first)
    estate.sent(copy)
    manager.unwrap(probe, 0.0)
    (challenge,) = estate.words(manager)
    contents = (b"attack at dawn, all of you", b"retreat by nightfall, all!")
    sealed = []
    for member, content in zip((first, copy), contents, strict=True):
        member.unwrap(challenge, 0.0)
        estate.words(member)
        sealed.append(estate.sent(member, content))
    assert read_header(sealed[0]) == read_header(sealed[1])
    difference = xor(sealed[0][HEADER_BYTES:], sealed[1][HEADER_BYTES:])
    assert difference[: len(contents[0])] != xor(*contents)
    assert sealed[0][-16:] != sealed[1][-16:]
    # That of the cipher before, told for comparison.
    gcm = AESGCM(bytes(32))
    twice = [gcm.encrypt(bytes(12), content, b"") for content in contents]
    assert xor(*twice)[: len(contents[0])] == xor(*contents)


def xor(first: bytes, second: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(first, second, strict=True))


# ------------------------------------------------------------------------- earlier versions


class OlderClient:
    """Knocks and seals as workers of an earlier version do: unsigned, with AES-GCM."""

    def __init__(self, estate: Any, name: str) -> None:
        self._keys = KeyRing(estate.secret, "estate")
        self.session = name.encode().ljust(16, b".")
        self._counter = 0
        self._manager, self._pass = bytes(16), 0

    def probe(self) -> bytes:
        return self._seal(Header(FrameKind.PROBE, self.session))

    def say(self, content: bytes) -> bytes:
        header = Header(FrameKind.CLIENT, self.session, self._manager, self._pass)
        return self._seal(header, content)

    def heed(self, data: bytes) -> None:
        header = read_header(data)
        self.open(data)
        self._manager, self._pass = header.sender, header.counter

    def open(self, data: bytes) -> bytes:
        header = read_header(data)
        assert header.version == UNSIGNED_VERSION
        return self._keys.key_for(header).open(header, data)

    def _seal(self, header: Header, content: bytes = b"") -> bytes:
        self._counter += 1
        header = header._replace(counter=self._counter, version=UNSIGNED_VERSION)
        return self._keys.key_for(header).seal(header, MALLORY, content)


def test_an_older_worker_is_let_in_and_is_sent_all_as_it_reads_it(estate: Any) -> None:
    manager, young = estate.pair()
    old = OlderClient(estate, "old")
    assert manager.unwrap(old.probe(), 0.0) is None
    (challenge,) = estate.words(manager)
    old.heed(challenge)
    before = manager.wrap(Outgoing(b"for the young", None), 0.0)
    assert estate.words(manager) == []
    assert estate.opened(manager, old.say(b"Hello")) == b"Hello"
    welcome = manager.wrap(Outgoing(b"Welcome", None), 0.0)
    (copy,) = estate.words(manager)
    assert old.open(copy) == b"Welcome"
    assert [estate.opened(young, each) for each in (before.frame, welcome.frame, copy)] == [
        b"for the young",
        b"Welcome",
        None,
    ]


def test_nobody_passes_for_a_member_that_signs_by_not_signing(estate: Any) -> None:
    rooms = Rooms(estate)
    rooms.told(rooms.boss, rooms.sent("ada", "ada", "boss"))
    impostor = OlderClient(estate, "any")
    impostor.session = rooms.seals["ada"]._session
    rooms.manager.unwrap(impostor.probe(), 1.0)
    (challenge,) = estate.words(rooms.manager)
    impostor.heed(challenge)
    frame = impostor.say(said_by("ada", "boss", b"forged"))
    assert rooms.told(rooms.boss, frame, 1.0) is Flaw.FORGED_SENDER
    # Nor does a client take anything that is not signed.
    unsigned = Header(
        FrameKind.MANAGER, rooms.manager._session, counter=10**6, version=UNSIGNED_VERSION
    )
    key = KeyRing(estate.secret, "estate").key_for(unsigned)
    assert rooms.seals["ada"].unwrap(key.seal(unsigned, MALLORY, b"forged"), 1.0) is None


@pytest.mark.parametrize("version", [1, 4, 9])
def test_other_versions_are_told_apart(estate: Any, version: int) -> None:
    for end in estate.pair():
        data = b"N." + bytes((version,)) + estate.sent(end)[3:]
        expected = Flaw.UNSEALED if version == 1 else Flaw.VERSION
        assert estate.flaw(end, data) is expected
    assert SEALED_VERSION == 3


# ------------------------------------------------------------------------- measuring the link


def test_a_probe_tells_how_long_an_answer_takes_by_the_link(estate: Any) -> None:
    manager, client = estate.pair()
    assert client.probe(10.0) is None
    (probe,) = estate.words(client)
    assert manager.unwrap(probe, 10.1) is None
    (challenge,) = estate.words(manager)
    client.unwrap(challenge, 10.25)
    assert client.probe(10.3) == pytest.approx(0.25)
    assert client.probe(10.3) is None
    # It goes on as before, with a new pass.
    assert estate.opened(manager, estate.sent(client), 11.0) == b"frame"
    assert estate.opened(client, estate.sent(manager), 11.0) == b"frame"


def test_probes_that_get_no_answer_do_not_follow_one_another_at_once(estate: Any) -> None:
    _, client = estate.pair()
    sent = 0
    for step in range(50):
        assert client.probe(step / 10) is None
        sent += len(estate.words(client))
    assert sent == 5


SHUFFLES: list[Callable[[list[bytes]], list[bytes]]] = [
    lambda frames: frames[::-1],
    lambda frames: random.Random(3).sample(frames, len(frames)),
]


@pytest.mark.parametrize("shuffle", SHUFFLES, ids=["backwards", "at random"])
def test_what_was_sealed_before_a_new_pass_is_let_in_after_it(
    estate: Any, shuffle: Callable[[list[bytes]], list[bytes]]
) -> None:
    manager, client = estate.pair()
    frames = [estate.sent(client, b"%d" % number) for number in range(5)]
    client.probe(1.0)
    for probe in estate.words(client):
        manager.unwrap(probe, 1.0)
    for challenge in estate.words(manager):
        client.unwrap(challenge, 1.0)
    frames += [estate.sent(client, b"%d" % number) for number in range(5, 10)]
    told = [estate.opened(manager, frame, 1.0) for frame in shuffle(frames)]
    assert sorted(content for content in told if content) == [b"%d" % n for n in range(10)]
