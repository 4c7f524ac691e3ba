# SPDX-License-Identifier: MIT
"""The ledger gives back what was entered, all of an entry or nothing, also to who reads beside the writer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedlethe.errors import FedletheError
from fedlethe.history.chain import BEFORE_ALL, Body, ChainHead
from fedlethe.history.entries import NOT_EVALUATED, Artefact, Participation, removals
from fedlethe.history.ledger import Ledger, demand_as_entered

TIMES = {"training": 2.0, "recording": 0.5}


MODEL = Artefact("global_checkpoints/round_0001.safetensors", "global checkpoint", None, 1, 12, "0" * 64)
OLD = Artefact("influence/a/round_0001.sealed", "influence", "a", 1, 12, "1" * 64)
NEW = Artefact("influence/a/round_0002.sealed", "influence", "a", 2, 12, "2" * 64)
ERASED = Artefact("erasures/0001/model.safetensors", "erasure", None, None, 12, "3" * 64)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    held = Ledger(tmp_path / "ledger.db", create=True)
    yield held
    held.close()


def test_a_round_is_entered_with_who_took_part_and_its_files(ledger: Ledger) -> None:
    entries = [
        Participation(1, "b", refused="is NaN"),
        Participation(1, "a", num_examples=4, weight=1.0, loss=float("nan")),
    ]
    ledger.add_round(1, TIMES, '{"accuracy": 1}', entries, [MODEL, OLD], [])
    ledger.add_round(2, TIMES, NOT_EVALUATED, [Participation(2, "a", weight=1.0)], [NEW], [OLD.path])
    assert ledger.rounds() == 2
    assert ledger.seconds() == (4.0, 1.0)
    assert ledger.evaluations() == {1: '{"accuracy": 1}'}  # nobody evaluated the second
    assert [(entry.round, entry.client) for entry in ledger.participation()] == [(1, "a"), (1, "b"), (2, "a")]
    first, second = ledger.participation(1)
    assert (first.weight, first.loss) == (1.0, None)  # a loss that is no number is not known
    assert second.refused == "is NaN"
    assert list(ledger.artefacts()) == [MODEL.path, NEW.path]
    (gone,) = ledger.tombstones().values()
    assert (gone.artefact, gone.because) == (OLD, "replaced by a later one")


def test_what_is_read_again_from_the_file_is_the_same(ledger: Ledger) -> None:
    ledger.add_round(1, TIMES, "{}", [Participation(1, "a", weight=1.0)], [MODEL, OLD], [])
    ledger.append(removals([OLD.path], "erased"))
    ledger.add_erasure("0001", '{"forget": ["a"]}', [ERASED])
    other = Ledger(ledger.path)
    try:
        for read in (Ledger.artefacts, Ledger.tombstones, Ledger.erasures, Ledger.participation, Ledger.head):
            assert read(other) == read(ledger)
        assert other.erasures() == {'{"forget": ["a"]}': "0001"}
        assert other.run_id == ledger.run_id
    finally:
        other.close()


def test_a_reader_sees_what_another_process_wrote_since(ledger: Ledger) -> None:
    reader = Ledger(ledger.path)
    try:
        assert reader.rounds() == 0
        ledger.add_round(1, TIMES, "{}", [], [MODEL], [])
        assert (reader.rounds(), list(reader.artefacts())) == (1, [MODEL.path])
        reader.add_artefacts([OLD])  # and what it writes itself goes on from there
        assert OLD.path in ledger.artefacts()
    finally:
        reader.close()


def test_an_erasure_and_what_became_true_with_it_are_one_entry(ledger: Ledger) -> None:
    before = ledger.head()
    with pytest.raises(ValueError, match="JSON compliant"):
        ledger.add_erasure("0001", "{}", [MODEL], [("key", {"client": "a", "id": float("nan"), "what": "made"})])
    assert ledger.head() == before
    assert not ledger.erasures()
    assert not ledger.artefacts()


def test_every_row_has_its_hash_and_no_two_ledgers_share_one(ledger: Ledger, tmp_path: Path) -> None:
    ledger.add_artefacts([MODEL])
    head = ledger.head()
    assert (head.seq, ledger.hash_of(2)) == (2, head.hash)
    assert [ledger.hash_of(seq) for seq in (0, -1, 3)] == [None, None, None]
    (tmp_path / "other").mkdir()
    other = Ledger(tmp_path / "other/ledger.db", create=True)
    assert other.run_id != ledger.run_id
    assert BEFORE_ALL not in (other.hash_of(1), ledger.hash_of(1))
    assert other.hash_of(1) != ledger.hash_of(1)
    other.close()


def test_events_are_those_of_a_kind_in_their_order(ledger: Ledger) -> None:
    began: list[tuple[str, Body]] = [
        ("began", {"after": after, "take_back": [], "left_out": [], "not_checked": []}) for after in ("x", "y")
    ]
    ledger.append([began[0], ("elsewhere", {"request": "R0001", "reached": [], "not_reached": []}), began[1]])
    assert [event.body["after"] for event in ledger.events("began")] == ["x", "y"]
    assert [event.kind for event in ledger.events("elsewhere", "began")] == ["began", "elsewhere", "began"]
    assert ledger.latest() == ledger.events("began")[-1].at


def test_a_row_that_could_not_be_read_again_is_not_written(ledger: Ledger) -> None:
    before = ledger.head()
    whole: tuple[str, Body] = ("elsewhere", {"request": "R0001", "reached": [], "not_reached": []})
    for odd in (("elsewhere", {"request": "R0001"}), ("nothing", {}), ("state", {"request": "R0001", "state": "odd"})):
        with pytest.raises(FedletheError, match=r"a row \(.*it was not written$"):
            ledger.append([whole, odd])
    assert ledger.head() == before
    ledger.append([whole])
    assert len(ledger.events("elsewhere")) == 1


def test_a_head_that_was_left_behind_is_caught_up_with(ledger: Ledger) -> None:
    place = ledger.path.with_suffix(".head")
    early = place.read_text()
    ledger.add_artefacts([MODEL])
    place.write_text(early)
    ledger.catch_up()
    assert place.read_text() == f"2 {ledger.head().hash}\n"
    assert ledger.head() == ChainHead(2, ledger.hash_of(2) or "")


def test_a_file_is_taken_before_the_first_and_held_to_the_ledger_after(ledger: Ledger, tmp_path: Path) -> None:
    folder = ledger.path.parent
    demand_as_entered(tmp_path / "nowhere", "run.toml", b"anything")  # no ledger yet
    demand_as_entered(folder, "run.toml", b"anything")  # nothing is entered yet
    content = b"seed = 0"
    ledger.add_artefacts([Artefact("run.toml", "configuration", None, None, 8, hashlib.sha256(content).hexdigest())])
    demand_as_entered(folder, "run.toml", content)
    for name, bytes_ in (("run.toml", b"seed = 1"), ("recording.toml", content)):
        with pytest.raises(FedletheError, match=f"{name}: its bytes are not those that the ledger names"):
            demand_as_entered(folder, name, bytes_)
