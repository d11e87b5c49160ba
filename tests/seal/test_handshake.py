"""How a client comes to know the manager's session, and how nobody else moves it."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.agents.kernel.delivery.frame_seal import Outgoing
from muster.agents.kernel.security import manager_seal
from muster.agents.kernel.security.alerts import BELIEF_DELAY_S, Alert, pack_alert
from muster.agents.kernel.security.client_seal import MANAGER_SILENCE_S
from muster.agents.kernel.security.sealed_frame import (
    HEADER_BYTES,
    SIGNED_BYTES,
    FrameKey,
    FrameKind,
    read_header,
)
from muster.agents.kernel.security.unsealed import Unsealed
from muster.messages import DecodeError, Flaw
from muster.messages.frame import ANY_MANAGER, Frame, encode_frame

PLAIN = encode_frame(Frame("ada", ()))


def test_a_first_frame_is_let_in_after_one_round_trip_more(estate: Any) -> None:
    manager, client = estate.manager(), estate.client()
    probe = estate.sent(client, b"hello")
    assert manager.unwrap(probe, 0.0) is None
    (challenge,) = estate.words(manager)
    assert client.unwrap(challenge, 0.0) is None
    (kept,) = estate.words(client)
    assert estate.opened(manager, kept, 0.0) == b"hello"


def test_a_knock_holds_nothing_and_is_for_the_manager(estate: Any) -> None:
    client = estate.client()
    probe = client.wrap(Outgoing(b"hello" * 100, "somebody"), 0.0)
    assert (probe.to, len(probe.frame)) == (ANY_MANAGER, HEADER_BYTES + SIGNED_BYTES + 16)


def test_of_what_waits_for_the_session_only_the_newest_is_sent(estate: Any) -> None:
    manager, client = estate.manager(), estate.client()
    probes = [estate.sent(client, b"%d" % number) for number in range(3)]
    manager.unwrap(probes[-1], 0.0)
    for challenge in estate.words(manager):
        client.unwrap(challenge, 0.0)
    assert [estate.opened(manager, frame) for frame in estate.words(client)] == [b"2"]


def test_a_frame_sent_to_the_session_before_a_restart_is_not_let_in_but_challenged(
    estate: Any,
) -> None:
    _, client = estate.pair()
    restarted = estate.manager("restarted")
    assert estate.flaw(restarted, estate.sent(client)) is Flaw.STALE_SESSION
    (challenge,) = estate.words(restarted)
    client.unwrap(challenge, MANAGER_SILENCE_S)
    assert estate.opened(restarted, estate.sent(client), 0.0) == b"frame"
    assert estate.opened(client, estate.sent(restarted), 0.0) == b"frame"


def test_a_client_that_hears_its_manager_follows_no_other_that_knows_the_secret(
    estate: Any,
) -> None:
    manager, client = estate.pair()
    impostor = estate.manager("impostor")
    for moment in range(20):
        now = float(moment)
        assert estate.opened(client, estate.sent(manager), now) == b"frame"
        assert estate.flaw(impostor, estate.sent(client), now) is Flaw.STALE_SESSION
        for challenge in estate.words(impostor):
            assert estate.flaw(client, challenge, now + 0.5) is Flaw.STALE_SESSION
        assert estate.flaw(client, estate.sent(impostor), now) is Flaw.STALE_SESSION
        assert estate.opened(manager, estate.sent(client), now) == b"frame"


def test_after_a_move_what_the_manager_before_said_is_let_in_no_more(estate: Any) -> None:
    before, client = estate.pair()
    late = estate.sent(before)
    restarted = estate.manager("restarted")
    estate.flaw(restarted, estate.sent(client))
    client.unwrap(estate.words(restarted)[0], 100.0)
    assert estate.flaw(client, late) is Flaw.STALE_SESSION


def test_repeated_challenges_of_a_manager_that_has_gone_move_nobody(estate: Any) -> None:
    before, client = estate.manager("before"), estate.client()
    challenges = []
    for moment in range(3):
        before.unwrap(estate.sent(client), float(moment))
        challenges += estate.words(before)
    client.unwrap(challenges[0], 0.0)
    restarted = estate.manager("restarted")
    estate.flaw(restarted, estate.sent(client))
    client.unwrap(estate.words(restarted)[0], 100.0)
    assert {estate.flaw(client, challenge) for challenge in challenges} == {Flaw.REPLAYED}
    assert estate.opened(restarted, estate.sent(client), 0.0) == b"frame"


def test_a_challenge_for_another_client_is_passed_over(estate: Any) -> None:
    manager, ada, ben = estate.manager(), estate.client("ada"), estate.client("ben")
    manager.unwrap(estate.sent(ada), 0.0)
    (challenge,) = estate.words(manager)
    assert ben.unwrap(challenge, 0.0) is None
    assert read_header(estate.sent(ben)).kind is FrameKind.PROBE


def test_a_challenge_made_without_the_secret_moves_nobody(estate: Any) -> None:
    stranger = estate.manager("stranger", estate.other_secret)
    twin, client = estate.client("ada", estate.other_secret), estate.client("ada")
    stranger.unwrap(estate.sent(twin), 0.0)
    estate.sent(client)
    (forged,) = estate.words(stranger)
    assert estate.flaw(client, forged) is Flaw.WRONG_SECRET
    assert read_header(estate.sent(client)).kind is FrameKind.PROBE


def test_what_the_manager_said_before_it_let_a_client_in_is_not_for_that_client(
    estate: Any,
) -> None:
    manager, _ = estate.pair()
    earlier = [estate.sent(manager, b"%d" % number) for number in range(5)]
    ben = estate.client("ben")
    estate.let_in(manager, ben)
    assert {estate.flaw(ben, frame) for frame in earlier} == {Flaw.REPLAYED}
    assert estate.opened(ben, estate.sent(manager, b"now"), 0.0) == b"now"


def test_before_it_is_let_in_a_client_takes_no_frame(estate: Any) -> None:
    manager, ada = estate.pair()
    ben = estate.client("ben")
    assert estate.flaw(ben, estate.sent(manager)) is Flaw.STALE_SESSION
    assert estate.flaw(ben, estate.sent(ada)) is Flaw.STALE_SESSION


def test_clients_of_one_manager_open_each_others_frames_once(estate: Any) -> None:
    manager, ada, ben = estate.manager(), estate.client("ada"), estate.client("ben")
    for client in (ada, ben):
        estate.let_in(manager, client)
    sealed = estate.sent(ada, b"for all")
    assert estate.opened(ben, sealed, 0.0) == b"for all"
    assert estate.flaw(ben, sealed) is Flaw.REPLAYED


def test_a_question_that_comes_again_gets_no_second_answer(estate: Any) -> None:
    manager, client = estate.manager(), estate.client()
    probe = estate.sent(client)
    assert estate.flaw(manager, probe) is None
    assert estate.flaw(manager, probe, now=10.0) is Flaw.REPLAYED
    assert len(estate.words(manager)) == 1


def test_a_client_that_asks_fast_gets_an_answer_now_and_then(estate: Any) -> None:
    manager, client = estate.manager(), estate.client()
    for number in range(100):
        manager.unwrap(estate.sent(client), number / 1000)
    assert len(estate.words(manager)) == 2


def test_challenges_are_limited_in_all_and_beyond_that_nothing_is_decrypted(
    estate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manager_seal, "CHALLENGES_AT_ONCE", 100)
    manager = estate.manager()
    for number in range(150):
        manager.unwrap(estate.sent(estate.client(f"c{number}")), 0.0)
    assert len(estate.words(manager)) == 100
    probe = estate.sent(estate.client("late"))
    monkeypatch.setattr(FrameKey, "open", None)
    assert manager.unwrap(probe, 0.0) is None


def test_while_many_ask_again_a_client_is_answered_once_a_second(estate: Any) -> None:
    manager = estate.manager()
    clients = [estate.client(f"c{number}") for number in range(150)]
    answers: list[int] = []
    for at in (0.0, 0.2, 1.3):
        for client in clients:
            manager.unwrap(estate.sent(client), at)
        answers.append(len(estate.words(manager)))
    assert answers == [150, 50, 150]


def test_a_client_forgotten_among_too_many_is_given_a_new_pass_and_nothing_comes_twice(
    estate: Any,
) -> None:
    manager = estate.manager(max_senders=2)
    clients = [estate.client(name) for name in ("ada", "ben", "cleo")]
    frames: list[bytes] = []
    for client in clients:
        estate.let_in(manager, client)
        frames.append(estate.sent(client))
        assert estate.opened(manager, frames[-1], 0.0) == b"frame"
    assert [estate.flaw(manager, frame, now=0.5) for frame in frames] == [
        Flaw.STALE_SESSION,
        Flaw.REPLAYED,
        Flaw.REPLAYED,
    ]
    estate.words(manager)
    seen_before = estate.sent(manager)
    assert estate.opened(clients[0], seen_before, 1.0) == b"frame"
    assert estate.flaw(manager, estate.sent(clients[0]), now=1.0) is Flaw.STALE_SESSION
    clients[0].unwrap(estate.words(manager)[0], 1.0)
    assert estate.opened(manager, estate.sent(clients[0]), 1.0) == b"frame"
    assert estate.flaw(clients[0], seen_before) is Flaw.REPLAYED


@pytest.mark.slow
@given(seed=st.integers(0, 2**32), restarts=st.integers(0, 3))
def test_over_a_bad_direct_connection_a_client_gets_in_and_nothing_is_let_in_twice(
    estate: Any, seed: int, restarts: int
) -> None:
    chance = random.Random(seed)
    managers = [estate.manager(f"m{number}") for number in range(restarts + 1)]
    client = estate.client()
    let_in: list[bytes] = []
    # All that ever was on the wire comes again, at any time, to whoever is there.
    recorded: list[bytes] = []
    for number, manager in enumerate(managers):
        for step in range(30):
            now = 100.0 * number + step / 10
            recorded.append(estate.sent(client, b"%d/%d" % (number, step), now))
            fresh = [recorded[-1]] if chance.random() < 0.7 else []
            for data in (*fresh, *chance.choices(recorded, k=3)):
                content = unwrapped(manager, data, now)
                if content is not None:
                    let_in.append(content)
            recorded += estate.words(manager)
            for data in chance.choices(recorded[-6:], k=4):
                unwrapped(client, data, now)
            recorded += estate.words(client)
        now = 100.0 * number + 50
        unwrapped(manager, estate.sent(client, b"last", now), now)
        for word in estate.words(manager):
            unwrapped(client, word, now)
        assert unwrapped(manager, estate.sent(client, b"in", now + 1), now + 1) == b"in"
    assert len(let_in) == len(set(let_in))
    assert all(content.startswith(b"%d/" % owner) for owner, content in owners(let_in))


def owners(let_in: list[bytes]) -> list[tuple[int, bytes]]:
    """Which manager each content was meant for; they were let in in this order."""
    order = [int(content.split(b"/")[0]) for content in let_in]
    assert order == sorted(order)
    return list(zip(order, let_in, strict=True))


def unwrapped(seal: Any, data: bytes, now: float) -> bytes | None:
    try:
        opened = seal.unwrap(data, now)
        return None if opened is None else opened.frame
    except DecodeError:
        return None


# ------------------------------------------------------------------------------------- notices


def test_a_client_with_the_wrong_secret_is_told_after_it_has_asked_for_a_while(
    estate: Any,
) -> None:
    manager, client = estate.manager(), estate.client(secret=estate.other_secret)
    for moment, refused in ((0.0, False), (0.5, False), (BELIEF_DELAY_S, True)):
        assert estate.flaw(manager, estate.sent(client, now=moment), moment) is Flaw.WRONG_SECRET
        for alert in estate.words(manager):
            client.unwrap(alert, moment)
        assert (client.refusal is not None) is refused
    assert client.refusal.startswith("wrong secret: ")


def test_a_client_that_was_let_in_believes_no_notice(estate: Any) -> None:
    _, client = estate.pair()
    client.unwrap(pack_alert(Alert.WRONG_SECRET, estate.session("ada")), 100.0)
    assert client.refusal is None


def test_a_notice_to_somebody_else_is_passed_over(estate: Any) -> None:
    client = estate.client()
    estate.sent(client)
    client.unwrap(pack_alert(Alert.WRONG_SECRET, estate.session("ben")), 100.0)
    client.unwrap(pack_alert(Alert.SEALED), 100.0)
    assert client.refusal is None


def test_a_client_that_is_let_in_after_all_forgets_the_notice(estate: Any) -> None:
    manager, client = estate.manager(), estate.client()
    estate.sent(client)
    client.unwrap(pack_alert(Alert.WRONG_SECRET, estate.session("ada")), 100.0)
    assert client.refusal is not None
    estate.let_in(manager, client)
    assert client.refusal is None


def test_notices_are_limited(estate: Any) -> None:
    manager = estate.manager()
    for number in range(100):
        stranger = estate.client(f"s{number}", estate.other_secret)
        estate.flaw(manager, estate.sent(stranger))
    assert len(estate.words(manager)) == 10


@pytest.mark.parametrize("content", [b"", b"\x00", b"\x09", b"\x01\x01"])
def test_a_notice_that_says_nothing_known_is_passed_over(estate: Any, content: bytes) -> None:
    client = estate.client()
    estate.sent(client)
    alert = pack_alert(Alert.SEALED, estate.session("ada"))[:HEADER_BYTES] + content
    assert estate.flaw(client, alert, now=100.0) is None
    assert client.refusal is None


def test_a_member_that_does_not_seal_is_told_that_the_workspace_does(estate: Any) -> None:
    manager, client = estate.manager(), Unsealed(manages=False)
    for moment in (0.0, 2.0):
        plain = estate.sent(client, PLAIN, now=moment)
        assert estate.flaw(manager, plain, moment) is Flaw.UNSEALED
        for alert in estate.words(manager):
            client.unwrap(alert, moment)
    assert client.refusal.startswith("this workspace is sealed")


def test_a_member_that_seals_is_told_that_the_workspace_does_not(estate: Any) -> None:
    manager, client = Unsealed(manages=True), estate.client()
    for moment in (0.0, 2.0):
        assert estate.flaw(manager, estate.sent(client, now=moment), moment) is Flaw.VERSION
        for alert in estate.words(manager):
            client.unwrap(alert, moment)
    assert client.refusal.startswith("this workspace is not sealed")


def test_members_that_do_not_seal_understand_each_other(estate: Any) -> None:
    manager, client = Unsealed(manages=True), Unsealed(manages=False)
    assert estate.opened(client, estate.sent(manager, PLAIN), 0.0) == PLAIN
    assert estate.opened(manager, estate.sent(client, PLAIN), 0.0) == PLAIN
    assert not estate.words(manager)
