"""One suite for both stores: the same calls, the same answers."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from regulars.errors import RegularsError, SettingError
from regulars.service.store import open_store, shown, sql
from regulars.service.store.schema import MIGRATIONS, OF_CUSTOMER
from regulars.service.store.sql import CustomerRow, DecisionRow

SETTINGS = {"policy": "considerate", "zone": "Europe/Berlin"}


def shop(work, name="corner"):
    return work.add_tenant(name, SETTINGS, b"catalog \x00\xff", b"secret \x00", -2)


def customer(k, **changed):
    row = CustomerRow(
        customer=k, into=-1, consent=b"consent%d" % k, contact=b"contact", known=b"known", profile=b"profile", entries=0,
        chain="", version=0, kept=-1, key=b"key%d" % k,
    )  # fmt: skip
    return row._replace(**changed)


def decided(name, who, day, waits=1):
    return DecisionRow(name, who, day, waits, b"body of " + name.encode())


def test_a_retailer_stands_as_it_was_added(store):
    with store.transaction() as work:
        first, second = shop(work), shop(work, "other")
        assert (first, second) == (0, 1)
        assert work.tenants() == [(0, "corner"), (1, "other")]
        assert work.catalog(1) == b"catalog \x00\xff"
        row = work.tenant(1)
        assert (row.name, row.settings, row.secret, row.closed_day) == ("other", SETTINGS, b"secret \x00", -2)
        assert (row.common, row.stock, row.customers) == (0, 0, 0)
        assert work.tenant(1, change=True) == row


def test_columns_of_a_retailer_change_and_no_other_retailer_does(store):
    with store.transaction() as work:
        shop(work), shop(work, "other")
        before = work.tenant(1)
        work.change_tenant(0, closed_day=5, common=3, stock=2, customers=7)
    with store.transaction() as work:
        row = work.tenant(0)
        assert (row.closed_day, row.common, row.stock, row.customers) == (5, 3, 2, 7)
        assert work.tenant(1) == before


def test_a_retailer_that_is_not_there_is_named(store):
    with store.transaction() as work, pytest.raises(RegularsError, match="no retailer 4"):
        work.tenant(4)


def test_two_retailers_of_one_name_cannot_be(store):
    with store.transaction() as work:
        shop(work)
    with pytest.raises(RegularsError, match="Nothing was written"), store.transaction() as work:
        shop(work)
    with store.transaction() as work:
        assert work.tenants() == [(0, "corner")]


def test_keys_are_kept_with_role_and_source(store):
    with store.transaction() as work:
        work.add_key("abc", 0, "write", "till")
        work.add_key("def", 1, "staff", "desk")
        assert sorted(work.keys()) == [("abc", 0, "write", "till"), ("def", 1, "staff", "desk")]


def test_customers_come_back_as_they_were_put_in(store):
    rows = [customer(k, entries=k, chain="c" * k) for k in range(40)]
    with store.transaction() as work:
        work.add_customers(0, rows)
        work.add_customers(1, [customer(3, known=b"of another shop")])
    with store.transaction() as work:
        assert list(work.customers(0, [39, 3, 3, 77]).values()) == [rows[3], rows[39]]
        assert work.customers(0, [3], change=False) == {3: rows[3]}
        assert work.customers(0, []) == {}
        assert work.everybody(0) == list(range(40))
        assert work.everybody(1) == [3]


def test_columns_of_a_customer_change_alone(store):
    with store.transaction() as work:
        work.add_customers(0, [customer(0), customer(1)])
        work.add_customers(1, [customer(0)])
        work.change_customers(0, ("known", "entries", "chain"), [(b"new", 4, "abcd", 1)])
        work.change_customers(0, ("known",), [])
        assert work.customers(0, [0, 1]) == {
            0: customer(0),
            1: customer(1, known=b"new", entries=4, chain="abcd"),
        }
        assert work.customers(1, [0]) == {0: customer(0)}


def test_an_identifier_that_is_taken_stays_whose_it_is(store):
    with store.transaction() as work:
        assert work.add_aliases(0, [("a", 1, "user"), ("b", 1, "anonymous")]) == {"a", "b"}
        assert work.add_aliases(0, [("c", 2, "user"), ("a", 2, "user")]) == {"c"}
        assert work.add_aliases(1, [("a", 9, "user")]) == {"a"}
        assert work.add_aliases(0, []) == set()
        assert work.aliases(0, ["a", "b", "c", "d"]) == {"a": 1, "b": 1, "c": 2}
        assert work.aliases(0, []) == {}
        assert work.owned(0, [1, 2], ("user",)) == {1, 2}
        assert work.owned(0, [1, 2], ("anonymous", "card")) == {1}
        assert work.owned(0, [], ("user",)) == set()


def test_merges_are_known_from_both_sides_and_undone_one_by_one(store):
    with store.transaction() as work:
        work.add_customers(0, [customer(k) for k in range(4)])
        work.add_merge(0, 1, 0, 500, b"before")
        work.add_merge(0, 2, 0, 600, b"later")
        work.change_customers(0, ("into_customer",), [(0, 1), (0, 2)])
        assert work.merged_into(0, [0, 1, 2, 3]) == {1: 0, 2: 0}
        assert work.merged_into(0, []) == {}
        work.add_aliases(0, [("a", 1, "anonymous"), ("b", 0, "user"), ("c", 3, "user"), ("e", 9, "user")])
        assert work.known_by(0, ["a", "b", "c", "d", "e"]) == {"a": 0, "b": 0, "c": 3, "e": 9}
        assert work.known_by(0, []) == work.known_by(1, ["a"]) == {}
        assert work.merged_from(0, 0) == [1, 2]
        assert work.everybody(0) == [0, 3]
        assert work.everybody(0, merged=True) == [0, 1, 2, 3]
        assert work.last_merge(0, 1) == (0, 500, b"before")
        work.undo_merge(0, 1, 500)
        assert work.last_merge(0, 1) is None
        assert (work.parted(0, 1), work.parted(0, 2)) == ({0}, set())
        assert work.last_merge(0, 2) == (0, 600, b"later")


def test_what_was_received_comes_out_once_in_its_order(store):
    with store.transaction() as work:
        work.put_in([(0, "app", 10 + k, 1, b"%d" % k) for k in range(20)])
        work.put_in([(1, "till", 5, 1, b"elsewhere")])
    with store.transaction() as work:
        first = work.take_out(0, 15)
        assert [row[1:] for row in first] == [("app", 10 + k, b"%d" % k) for k in range(15)]
        work.applied([row[0] for row in first])
    with store.transaction() as work:
        assert [row[3] for row in work.take_out(0, 15)] == [b"%d" % k for k in range(15, 20)]
        assert [row[3] for row in work.take_out(1, 15)] == [b"elsewhere"]


def test_a_message_is_seen_for_the_first_time_once(store):
    with store.transaction() as work:
        assert work.first_seen(0, ["a", "b", "a"], 3) == {"a", "b"}
        assert work.first_seen(0, ["b", "c"], 9) == {"c"}
        assert work.first_seen(1, ["a"], 3) == {"a"}
        assert work.first_seen(0, [], 9) == set()
        work.forget_seen(0, 9)
        assert work.first_seen(0, ["a", "b", "c"], 10) == {"a", "b"}
        assert work.first_seen(1, ["a"], 10) == set()


def test_an_idempotency_key_is_forgotten_like_a_message(store):
    with store.transaction() as work:
        for key, day in (("old", 3), ("new", 9)):
            assert work.claim(0, key, "request", day, 0) is None
            work.answer(0, key, 0, 200, b"told", -1)
        work.forget_seen(0, 9)
        assert work.claim(0, "new", "request", 10, 0) == ("request", 200, b"told", -1)
        assert work.claim(0, "old", "request", 10, 0) is None


def test_events_are_hers_in_the_order_in_which_they_came(store):
    with store.transaction() as work:
        work.add_events([(0, k % 2, 100 - k, b"%d" % k) for k in range(12)])
        assert list(work.events(0, 1)) == [(100 - k, b"%d" % k) for k in range(1, 12, 2)]
        assert list(work.events(1, 1)) == []


def test_decisions_are_found_by_id_by_customer_by_day_and_while_they_wait(store):
    rows = [decided("d0", 1, 3), decided("d1", 1, 9, waits=0), decided("d2", 2, 5), decided("d3", 2, 9)]
    with store.transaction() as work:
        work.add_decisions(0, rows)
        work.add_decisions(1, [decided("d0", 7, 3)])
        assert work.decisions(0, ["d3", "d0", "d0", "none"]) == {"d0": rows[0], "d3": rows[3]}
        assert work.decisions(0, ["d0"], change=True) == {"d0": rows[0]}
        assert work.decisions(0, []) == {}
        assert work.waiting(0, [1, 2], 4) == [rows[2], rows[3]]
        assert work.waiting(0, [], 4) == []
        assert work.ripe(0, 5, 10) == [rows[0], rows[2]]
        assert work.ripe(0, 5, 1) == [rows[0]]
        assert work.of_customer(0, 1) == [rows[0], rows[1]]
        work.change_decisions(0, [(0, b"settled", "d0")])
        assert work.ripe(0, 5, 10) == [rows[2]]
        assert work.decisions(0, ["d0"])["d0"].body == b"settled"
        assert work.decisions(1, ["d0"])["d0"].body == b"body of d0"


def test_a_decision_is_written_once(store):
    with store.transaction() as work:
        work.add_decisions(0, [decided("d0", 1, 3)])
    with pytest.raises(RegularsError), store.transaction() as work:
        work.add_decisions(0, [decided("d0", 2, 4)])
    with store.transaction() as work:
        assert work.decisions(0, ["d0"])["d0"].customer == 1


def test_a_ledger_is_hers_in_order_and_no_entry_is_written_over(store):
    with store.transaction() as work:
        work.add_entries(0, [(1, k, b"%d" % k) for k in (2, 0, 1)])
        work.add_entries(0, [(2, 0, b"other")])
        assert work.entries(0, 1) == [b"0", b"1", b"2"]
    with pytest.raises(RegularsError), store.transaction() as work:
        work.add_entries(0, [(1, 2, b"forged")])
    with store.transaction() as work:
        assert work.entries(0, 1) == [b"0", b"1", b"2"]


def test_what_was_learned_is_kept_by_version(store):
    with store.transaction() as work:
        assert work.common(0, 1) is None
        work.add_common(0, 1, 5, b"one")
        work.add_common(0, 2, 6, b"two")
        work.drop_common(0, 1)
        assert (work.common(0, 1), work.common(0, 2), work.common(1, 2)) == (None, b"two", None)


def test_what_days_add_is_taken_out_once_by_day(store):
    with store.transaction() as work:
        for day, body in ((4, b"a"), (3, b"b"), (4, b"c"), (6, b"d")):
            work.add_delta(0, day, body)
        work.add_delta(1, 3, b"elsewhere")
        assert work.take_deltas(0, 4) == [(3, b"b"), (4, b"a"), (4, b"c")]
        assert work.take_deltas(0, 9) == [(6, b"d")]
        assert work.take_deltas(0, 9) == []
        assert work.take_deltas(1, 9) == [(3, b"elsewhere")]


def test_what_a_decision_rested_on_is_kept_by_version(store):
    with store.transaction() as work:
        work.keep_known(0, [(1, 0, b"first"), (2, 0, b"hers")])
        work.keep_known(0, [(1, 4, b"then")])
        work.keep_known(0, [])
        work.keep_known(0, [(1, 4, b"again")])  # which an older version copied when somebody decided
        found = [work.known_then(0, who, version) for who, version in ((1, 0), (1, 4), (2, 0), (1, 3))]
        assert found == [b"first", b"then", b"hers", None]
        assert work.known_then(1, 1, 0) is None
        assert not work.decided_on(0, 3)


@pytest.mark.parametrize("waits", [0, 1])
def test_what_a_decision_rests_on_stays_whether_its_outcome_is_settled_or_not(store, waits):
    with store.transaction() as work:
        for retailer in (0, 1):
            work.add_shelf(retailer, 1, 3, b"first")
        work.add_decisions(0, [decided("d0", 1, 3, waits)])
        assert work.decided_on(0, 3) and not work.decided_on(0, 4) and not work.decided_on(1, 3)
        for retailer in (0, 1):
            work.add_shelf(retailer, 2, 3, b"second")
        assert [work.shelf(retailer, 1) for retailer in (0, 1)] == [b"first", None]
        assert [work.shelf(retailer, 2) for retailer in (0, 1)] == [b"second"] * 2


def test_what_was_spent_is_counted_by_day(store):
    with store.transaction() as work:
        assert work.spent(0, 5) == 0
        work.spend(0, 5, 3)
        work.spend(0, 6, 1)
        work.spend(0, 5, 7)
        assert (work.spent(0, 5), work.spent(0, 6), work.spent(1, 5)) == (7, 1, 0)


def test_stock_is_written_over(store):
    with store.transaction() as work:
        work.set_on_hand(0, [(5, 10, 0), (2, 0, 1)])
        work.set_on_hand(0, [(5, 0, 0)])
        work.set_on_hand(1, [(5, 3, 0)])
        assert work.on_hand(0) == [(2, 0, 1), (5, 0, 0)]
        assert work.on_hand(1) == [(5, 3, 0)]


def test_a_claimed_key_is_claimed_once_answered_and_released(store):
    with store.transaction() as work:
        assert work.claim(0, "key", "request", 3, 0) is None
        assert work.claim(0, "key", "another", 4, 0) == ("request", 0, b"", -1)
        work.answer(0, "key", 0, 200, b"answer \x00", 7)
        assert work.claim(0, "key", "request", 4, 0) == ("request", 200, b"answer \x00", 7)
        assert work.claim(1, "key", "request", 3, 0) is None
        work.release(0, "key", 0)
        assert work.claim(0, "key", "another", 5, 0) is None


def test_a_key_whose_holder_does_not_answer_is_the_next_ones_after_the_lease(store):
    begun, over = 1_000, 1_000 + sql.LEASE_MS
    with store.transaction() as work:
        assert work.claim(0, "key", "request", 3, begun) is None
        assert work.claim(0, "key", "request", 3, over - 1) == ("request", 0, b"", -1)
        assert work.claim(0, "key", "another", 3, over) == ("request", 0, b"", -1)
        assert work.claim(0, "key", "request", 3, over) is None
        # Whoever comes back late takes nothing from whoever has it now.
        work.answer(0, "key", begun, 500, b"late", -1)
        work.release(0, "key", begun)
        assert work.claim(0, "key", "request", 3, over + 1) == ("request", 0, b"", -1)
        work.answer(0, "key", over, 200, b"told", -1)
        assert work.claim(0, "key", "request", 9, over + 10**9) == ("request", 200, b"told", -1)


def test_a_key_that_is_given_back_while_it_is_looked_for_is_ours(store, monkeypatch):
    with store.transaction() as work:
        assert work.claim(0, "key", "request", 3, 0) is None
        asked = work.ask

        def ask(text, values=()):
            if "FROM claim" in text:
                work.release(0, "key", 0)
            return asked(text, values)

        monkeypatch.setattr(work, "ask", ask)
        assert work.claim(0, "key", "request", 3, 5) is None
        assert work.claim(0, "key", "request", 3, 6) == ("request", 0, b"", -1)


def test_what_was_decided_under_a_key_outlives_who_decided_it(store):
    with store.transaction() as work:
        for key in ("a", "b", "c"):
            work.claim(0, key, "request", 3, 0)
        work.decide_under(0, [("d-1", 7, "a"), ("d-2", 8, "c")])
        work.decide_under(0, [])
        assert work.decided_under(0, ["a", "b", "a"]) == {"a": "d-1"}
        assert work.decided_under(0, []) == {} and work.decided_under(1, ["a"]) == {}
        for key in ("a", "b"):
            work.release(0, key, 0)
        assert work.decided_under(0, ["a", "b", "c"]) == {"a": "d-1", "c": "d-2"}
        assert work.claim(0, "a", "request", 3, 1) is None  # given back, so at once
        assert work.claim(0, "b", "another", 3, 1) is None
        work.erase(0, [7], 3)
        assert work.decided_under(0, ["a", "b", "c"]) == {"c": "d-2"}


@pytest.mark.parametrize("stands", [False, True])
def test_only_one_of_many_claims_a_key(store, stands):
    barrier = threading.Barrier(4)
    if stands:  # and whoever claimed it was stopped
        with store.transaction() as work:
            assert work.claim(0, "key", "request", 3, 0) is None

    def claim(_):
        barrier.wait(10)
        with store.transaction() as work:
            return work.claim(0, "key", "request", 3, sql.LEASE_MS)

    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(claim, range(4)))
    assert got.count(None) == 1
    assert all(each in (None, ("request", 0, b"", -1)) for each in got)


def test_whoever_is_erased_is_in_no_table(store):
    with store.transaction() as work:
        for shop_, who in ((0, 1), (0, 2), (1, 1)):
            work.add_customers(shop_, [customer(who)])
            work.add_aliases(shop_, [(f"a{who}", who, "user")])
            work.add_events([(shop_, who, 5, b"event")])
            work.add_decisions(shop_, [decided(f"d{who}", who, 3)])
            work.add_entries(shop_, [(who, 0, b"entry")])
            work.add_merge(shop_, who, 9, 500, b"")
            work.keep_known(shop_, [(who, 0, b"known")])
            work.add_new("household", ("retailer", "household", "customer"), "household", [(shop_, "h", who)])
            work.claim(shop_, f"key {who}", "request", 3, 0)
            work.answer(shop_, f"key {who}", 0, 200, b"answer", who)
    with store.transaction() as work:
        work.erase(0, [1], 8)
    with store.transaction() as work:
        for table in OF_CUSTOMER:
            left = work.ask(f"SELECT retailer, customer FROM {table} ORDER BY 1, 2")
            assert left == [(0, 2), (1, 1)], table
        assert work.ask("SELECT retailer, customer, day FROM erased") == [(0, 1, 8)]
        work.erase(0, [1], 9)


def test_every_table_with_a_customer_is_erased_from(store):
    """A table that is added later must not be forgotten."""
    tables = [
        statement.split()[2] for step in MIGRATIONS for statement in step if "customer {big}" in statement
    ]
    assert set(tables) - {"erased"} == set(OF_CUSTOMER)


def test_what_was_written_is_there_for_whoever_comes_next_and_not_before(store, url):
    other = open_store(url)
    try:
        with store.transaction() as work:
            shop(work)
        with other.transaction() as work:
            assert work.tenants() == [(0, "corner")]
    finally:
        other.close()


def test_an_error_leaves_nothing_behind(store):
    with store.transaction() as work:
        shop(work)
    with pytest.raises(ZeroDivisionError), store.transaction() as work:
        work.add_customers(0, [customer(0)])
        work.change_tenant(0, customers=1)
        _ = 1 / 0
    with store.transaction() as work:
        assert work.everybody(0) == []
        assert work.tenant(0).customers == 0


def test_a_statement_that_fails_is_told_in_our_words_and_leaves_nothing_behind(store):
    with pytest.raises(RegularsError, match="Nothing was written"), store.transaction() as work:
        shop(work)
        work.tell("INSERT INTO no_such_table VALUES (1)")
    with store.transaction() as work:
        assert work.tenants() == []


def test_a_store_that_is_opened_again_is_as_it_was(store, url):
    with store.transaction() as work:
        shop(work)
    for _ in range(2):
        again = open_store(url)
        with again.transaction() as work:
            assert work.tenants() == [(0, "corner")]
            steps = [row[0] for row in work.ask("SELECT number FROM step ORDER BY number")]
            assert steps == list(range(len(MIGRATIONS)))
        again.close()


@pytest.mark.parametrize("attempt", range(3))
def test_many_who_open_an_empty_store_at_a_time_set_it_up_once(url, attempt):
    barrier = threading.Barrier(6)

    def opened(_):
        barrier.wait(10)
        store = open_store(url)
        with store.transaction() as work:
            steps = work.ask("SELECT number FROM step")
        store.close()
        return steps

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(opened, range(6)))
    assert found == [[(k,) for k in range(len(MIGRATIONS))]] * 6


def test_answers_of_which_an_older_store_does_not_say_whom_they_tell_of_are_not_kept(url, monkeypatch):
    monkeypatch.setattr(sql, "MIGRATIONS", MIGRATIONS[:1])
    older = open_store(url)
    with older.transaction() as work:
        rows = [("done", 200, b"what was said to her"), ("begun", 0, b"")]
        for digest, status, body in rows:
            work.tell("INSERT INTO claim VALUES (0, ?, 'request', 3, ?, ?)", (digest, status, body))
    older.close()
    monkeypatch.undo()
    store = open_store(url)
    with store.transaction() as work:
        assert work.ask("SELECT digest, body, customer FROM claim") == [("begun", b"", -1)]
    store.close()


def test_a_newer_store_is_refused_in_words(store, url):
    with store.transaction() as work:
        work.tell("INSERT INTO step VALUES (?)", (len(MIGRATIONS),))
    with pytest.raises(RegularsError, match=r"newer version.*Install the newer"):
        open_store(url)


@pytest.mark.parametrize("url", ["", "sqlite:///", "mysql://x", "store.db"])
def test_a_url_that_names_no_store_is_refused_in_words(url):
    with pytest.raises(SettingError, match="names no store"):
        open_store(url)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SettingError, match="cannot be opened"):
        open_store(f"sqlite:///{tmp_path}/no/such/folder/store.db")


def test_a_file_that_is_no_store_is_named_and_nothing_is_left_beside_it(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "page.html").write_text("<p>This is no store, and long enough to be seen as none.</p>" * 20)
    before = sorted(tmp_path.iterdir())
    for name in ("folder", "page.html"):
        with pytest.raises(SettingError, match=f"{name} cannot be opened as a store"):
            open_store(f"sqlite:///{tmp_path}/{name}")
        assert sorted(tmp_path.iterdir()) == before


def test_a_store_that_others_work_on_keeps_their_turn_when_it_cannot_be_opened(tmp_path):
    url = f"sqlite:///{tmp_path}/store.db"
    store = open_store(url)
    with store.transaction() as work:
        work.tell("INSERT INTO step VALUES (?)", (len(MIGRATIONS),))
    with pytest.raises(RegularsError, match="newer version"):
        open_store(url)
    assert (tmp_path / "store.db-turn").exists()
    store.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://me:hush@127.0.0.1:9/none?connect_timeout=1", "cannot be reached.*refused.*Check the URL"),
        ("postgresql://me:hush@nowhere.invalid/none?connect_timeout=1", "cannot be reached.*Check the URL"),
        ("postgresql://me:hush@127.0.0.1/none?hush=1", "cannot be read"),
        ("postgresql://me:hush@127.0.0.1:port/none", "cannot be re"),
    ],
)  # fmt: skip
def test_a_server_that_is_not_there_is_told_once_and_without_its_password(url, words, monkeypatch, caplog):
    from regulars.service.store import postgres

    monkeypatch.setattr(postgres, "OPENING_S", 1.0)
    with pytest.raises(SettingError, match=words) as told:
        open_store(url)
    assert "hush" not in str(told.value) and "\n" not in str(told.value)
    assert not [record for record in caplog.records if record.name.startswith("psycopg")]
    assert not logging.getLogger("psycopg.pool").filters  # what happens later is logged


@pytest.mark.slow
def test_a_database_that_the_server_does_not_have_is_named(postgres, monkeypatch, caplog):
    monkeypatch.setattr("regulars.service.store.postgres.OPENING_S", 1.0)
    with pytest.raises(SettingError, match='"nobodys" does not exist'):
        open_store(postgres.get_uri(database="nobodys"))
    assert not [record for record in caplog.records if record.name.startswith("psycopg")]


def test_tidying_keeps_what_is_there(store):
    with store.transaction() as work:
        work.add_customers(0, [customer(0), customer(1)])
        work.erase(0, [1], 3)
    assert store.tidy()
    with store.transaction() as work:
        assert work.everybody(0) == [0]


def test_tidying_that_fails_is_told_in_our_words(store, url):
    broken = open_store(url)
    (broken._at if url.startswith("sqlite") else broken._pool).close()
    with pytest.raises(sql.StoreFailed, match="cannot be"):
        broken.tidy()
    broken.close()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:s3cret@db.example/shop", "postgres://ann:s3@cret@db/shop?sslmode=require",
        "postgresql:///shop?password=s3cret", "postgresql+psycopg://u:s3cret@h/shop",
    ],
)  # fmt: skip
def test_a_password_is_shown_nowhere(url):
    assert shown(url).endswith("://.../shop") and "s3" not in shown(url)
    assert shown("sqlite:///runs/store.db") == "sqlite:///runs/store.db"
    with pytest.raises(SettingError) as told:
        open_store("postgresql+psycopg://u:s3cret@h/shop")
    assert "s3cret" not in str(told.value)
