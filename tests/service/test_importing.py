"""Past purchases in bulk: begun anew after a break, each basket once, with what was told about them."""

import json

import msgspec
import pytest

from regulars import cli
from regulars.errors import BadInput, RegularsError, SettingError
from regulars.service import demo, host, importing, intake
from regulars.service.events import Did, Event
from regulars.service.keys import Role
from regulars.service.naming import USER, Name, digest
from regulars.service.opening import Opening, open_shop
from regulars.service.store import open_store
from regulars.service.store.schema import OF_RETAILER
from regulars.sources import tables
from regulars.terms import Channel, Scope

from .conftest import START, corner_shop

HEADER = "date,card,sku,net,quantity,basket"
USUAL = importing.granted_by(["purchases", "stated", "contact.email"])


def sales(path, rows, header=HEADER):
    """A file of purchases; two cards and a week at least, so that it can be read."""
    path.write_text("\n".join([header, *rows]) + "\n", "utf-8")
    return tables.read(path)


def week(*more):
    """Baskets of two cards on the first and the twentieth of March, and more."""
    return [
        f"2026-03-{day:02d},{card},{sku},2.50,1,{card}-{day}"
        for day in (1, 20)
        for card in ("anna", "bob")
        for sku in ("milk", "bread")
    ] + list(more)


def bring(url, panel, granted=USUAL, zone=None, policy=None, name="mine"):
    """What came of an import."""
    shown = []
    importing.bring(url, name, panel, granted, zone, policy, lambda text: None, shown.append)
    (told,) = shown
    return told


@pytest.fixture
def file(tmp_path):
    """An empty store in a file."""
    return f"sqlite:///{tmp_path}/store.db"


def rows_of(url):
    """How many rows each retailer has, by table."""
    store = open_store(url)
    with store.transaction() as work:
        names = [name for (name,) in work.ask("SELECT name FROM sqlite_master WHERE type = 'table'")]
        tables_of = [
            n for n in names if work.ask("SELECT 1 FROM pragma_table_info(?) WHERE name = 'retailer'", (n,))
        ]
        found = {
            name: dict(work.ask(f"SELECT retailer, COUNT(*) FROM {name} GROUP BY retailer"))
            for name in tables_of
        }  # fmt: skip
    store.close()
    return found


# ---- broken off ------------------------------------------------------------------------------------------------------


def stop(*_, **__):
    raise KeyboardInterrupt


def test_an_import_that_was_stopped_begins_anew(file, tmp_path, monkeypatch):
    panel = sales(tmp_path / "a.csv", week())
    store = open_store(file)
    open_shop(store, Opening("rival", corner_shop(), START))
    store.close()
    before = rows_of(file)
    # While it is filled, and when all but its keys was there.
    for broken in ("_write", "keys"):
        with monkeypatch.context() as here, pytest.raises(KeyboardInterrupt):
            if broken == "_write":
                here.setattr(importing, "_write", stop)
                bring(file, panel)
            else:
                importing.bring(file, "mine", panel, USUAL, "UTC", "considerate", lambda text: None, stop)
    told = bring(file, panel)
    assert set(told["keys"]) == {role.value for role in Role}
    found = rows_of(file)
    assert {name: counts.get(0, 0) for name, counts in found.items()} == {
        name: counts.get(0, 0) for name, counts in before.items()
    }
    # Nothing of the two that were broken off, and no number twice.
    assert {number for counts in found.values() for number in counts} == {0, 3}
    assert found["customer"] == {3: 2} and found["event"] == {3: 4}
    assert bring(file, panel)["again"] == 4


def test_a_retailer_is_taken_out_of_every_table(file):
    open_store(file).close()
    assert set(rows_of(file)) == set(OF_RETAILER)


def test_opening_begins_anew_where_it_was_broken_off_on_every_store(store):
    first, made = open_shop(store, Opening("mine", corner_shop(), START, ready=False))
    second, anew = open_shop(store, Opening("mine", corner_shop(), START, ready=False))
    with store.transaction() as work:
        assert work.tenants() == [(second, "mine")] and work.unready() == {"mine": second} and second != first
        assert {number for _, number, _, _ in work.keys()} == {second} and len(work.keys()) == len(anew)
        work.make_ready(second)
        assert work.unready() == {}
    with pytest.raises(SettingError, match="already"):
        open_shop(store, Opening("mine", corner_shop(), START))
    assert not set(made.values()) & set(anew.values())


def test_who_was_taken_out_while_it_was_filled_writes_nothing(file, tmp_path, monkeypatch):
    panel = sales(tmp_path / "a.csv", week())
    write = importing._write

    def late(*words):
        monkeypatch.setattr(importing, "_write", write)
        bring(file, panel)
        write(*words)

    monkeypatch.setattr(importing, "_write", late)
    with pytest.raises(RegularsError, match="another import of 'mine' began meanwhile"):
        bring(file, panel)
    assert rows_of(file)["customer"] == {1: 2}


def test_a_demo_that_was_stopped_begins_anew_and_is_not_served_before(file, tmp_path, monkeypatch):
    panel = sales(tmp_path / "a.csv", week())
    monkeypatch.setattr(demo.complete_journey, "load", lambda: panel)
    monkeypatch.setattr(demo.complete_journey, "load_shelf", importing.shelf_from)
    monkeypatch.setattr(host.uvicorn.Server, "run", lambda server: None)
    said = []
    with monkeypatch.context() as here, pytest.raises(KeyboardInterrupt):
        here.setattr(importing, "_write", stop)
        host.run(file, "127.0.0.1", 0, 1, True, said.append)
    assert rows_of(file)["customer"] == {}
    with pytest.raises(SettingError, match=r"filling is not finished: demo.*no other retailer"):
        host.run(file, "127.0.0.1", 0, 1, False, said.append)
    host.run(file, "127.0.0.1", 0, 1, True, said.append)
    assert rows_of(file)["customer"] == {1: 2} and set(rows_of(file)["api_key"]) == {1}
    host.run(file, "127.0.0.1", 0, 1, True, said.append)
    assert rows_of(file)["customer"] == {1: 2}
    assert not any("not finished" in each for each in said)


def test_one_that_is_not_ready_is_told_beside_others(file, tmp_path, monkeypatch):
    panel = sales(tmp_path / "a.csv", week())
    bring(file, panel, name="other")
    with monkeypatch.context() as here, pytest.raises(KeyboardInterrupt):
        here.setattr(importing, "_write", stop)
        bring(file, panel)
    monkeypatch.setattr(host.uvicorn.Server, "run", lambda server: None)
    said = []
    host.run(file, "127.0.0.1", 0, 1, False, said.append)
    assert "not finished: mine" in said[0]
    with cli.stores.live_engine(file, None) as (_, shop):
        assert shop.name == "other"


# ---- each basket once ------------------------------------------------------------------------------------------------


def bought(url, user="anna", name="mine"):
    """Her purchases as (day, units, order), in the order of days."""
    with cli.stores.live_engine(url, name) as (engine, shop):

        def read(work):
            (who,) = work.aliases(shop.number, [digest(shop.secret, Name(USER, user))]).values()
            seats = shop.seat(work, [who])
            return [msgspec.msgpack.decode(body, type=Event) for _, body in shop.events_of(work, seats, who)]

        told = [event for event in engine.call(shop, read).result(60) if event.did == Did.PURCHASED]
        days = [str(shop.calendar.date(shop.calendar.day(event.at_ms))) for event in told]
    return sorted(
        (day, sum(line.units for line in e.lines), e.order) for day, e in zip(days, told, strict=True)
    )


def test_a_basket_is_known_by_its_own_id(file, tmp_path):
    second = "2026-03-20,anna,milk,2.50,7,second"
    # The first file lacks the first basket of a day, the other file the second.
    bring(file, sales(tmp_path / "a.csv", [*week()[:4], week()[6], second]))
    told = bring(file, sales(tmp_path / "b.csv", week()))
    assert told["again"] == 3
    assert bought(file) == [
        ("2026-03-01", 2, "anna-1"), ("2026-03-20", 2, "anna-20"), ("2026-03-20", 7, "second"),
    ]  # fmt: skip


def test_a_basket_without_an_id_is_known_by_what_is_in_it(file, tmp_path):
    header = "date,card,store,sku,net,quantity"
    plain = [
        f"2026-03-{day:02d},{card},{store},milk,2.50,{units}"
        for day in (1, 20)
        for card in ("anna", "bob")
        for store, units in (("x", 1), ("y", 3), ("z", 3))
    ]
    some = [line for line in plain if not line.startswith(("2026-03-01,anna,x", "2026-03-01,anna,z"))]
    bring(file, sales(tmp_path / "a.csv", some, header))
    told = bring(file, sales(tmp_path / "b.csv", plain, header))
    assert told["again"] == len(some)
    assert [(day, units) for day, units, _ in bought(file)] == [
        (day, units) for day in ("2026-03-01", "2026-03-20") for units in (1, 3, 3)
    ]
    assert bring(file, sales(tmp_path / "c.csv", plain[::-1], header))["again"] == len(plain)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Auckland", "Pacific/Pago_Pago"])
def test_purchases_fall_on_their_day_in_every_zone(file, tmp_path, zone):
    bring(file, sales(tmp_path / "a.csv", week()), zone=zone)
    bring(file, sales(tmp_path / "b.csv", week("2026-03-21,anna,milk,2.50,1,late")))
    assert [day for day, _, _ in bought(file)] == ["2026-03-01", "2026-03-20", "2026-03-21"]


# ---- into a retailer that is there -----------------------------------------------------------------------------------


def allowed(url, user):
    """Bits of her scopes, and of her channels; None of nobody."""
    with cli.stores.live_engine(url, "mine") as (engine, shop):

        def read(work):
            found = work.aliases(shop.number, [digest(shop.secret, Name(USER, user))])
            if not found:
                return None
            seats = shop.seat(work, found.values())
            return seats.consent.bits[0].tolist(), int(seats.record.optin[0])

        return engine.call(shop, read).result(60)


def erase(url, user):
    with cli.stores.live_engine(url, "mine") as (engine, shop):

        def gone(work):
            found = work.aliases(shop.number, [digest(shop.secret, Name(USER, user))])
            intake.erase(work, shop, list(found.values()), 0)

        engine.call(shop, gone).result(60)


def test_what_was_granted_counts_for_who_is_new(file, tmp_path):
    bring(file, sales(tmp_path / "a.csv", week()), importing.granted_by(["purchases"]))
    before = allowed(file, "anna")
    erase(file, "bob")
    more = week(
        "2026-03-21,anna,milk,2.50,1,late", "2026-03-21,carol,milk,2.50,1,c", "2026-03-21,dora,milk,2.50,1,d"
    )
    told = bring(file, sales(tmp_path / "b.csv", more))
    assert (told["again"], told["withheld"], told["unknown"]) == (4, 0, 0)
    bits, channels = allowed(file, "carol")
    assert bits[Scope.PURCHASES] and bits[Scope.STATED] and channels == 1 << Channel.EMAIL
    assert bought(file, "carol") == [("2026-03-21", 1, "c")] and allowed(file, "dora") == (bits, channels)
    assert allowed(file, "anna") == before and not before[0][Scope.STATED]
    # What is known of whoever was erased brings nobody back.
    assert allowed(file, "bob") is None


def test_whoever_was_erased_is_vouched_for_by_no_import(file, tmp_path):
    bring(file, sales(tmp_path / "a.csv", week()))
    erase(file, "bob")
    more = week("2026-03-21,bob,milk,2.50,1,new", "2026-03-21,carol,milk,2.50,1,c")
    told = bring(file, sales(tmp_path / "b.csv", more))
    # She bought again, which is counted and not kept under her.
    assert (told["again"], told["withheld"]) == (4, 1)
    bits, channels = allowed(file, "bob")
    assert not any(bits) and not channels and bought(file, "bob") == []
    assert allowed(file, "carol")[1] == 1 << Channel.EMAIL


@pytest.mark.parametrize(
    ("words", "warned"),
    [
        (["purchases", "contact"], True),
        (["marketing"], True),
        (["contact", "contact.app"], False),
        (["contact.email"], False),
        (["purchases"], False),
        (["contact.measure"], False),
        ([], False),
    ],
)
def test_contact_without_a_channel_is_said_at_the_end(file, tmp_path, capsys, words, warned):
    sales(tmp_path / "a.csv", week())
    cli.imports.import_(tmp_path / "a.csv", "mine", file, granted=words)
    last = capsys.readouterr().err.strip().splitlines()[-1]
    said = "contact is allowed, but no channel is open: add --granted contact.email"
    assert last.startswith(said) == warned
    assert last.startswith("nobody allows anything yet") == (not words)
    assert last.startswith("nobody may be written to or spoken to") == (
        words in (["purchases"], ["contact.measure"])
    )
    assert (allowed(file, "anna")[1] == 0) == (warned or words in ([], ["purchases"], ["contact.measure"]))


def test_what_is_granted_counts_for_the_new_and_that_is_said(file, tmp_path, capsys):
    sales(tmp_path / "a.csv", week())
    cli.imports.import_(tmp_path / "a.csv", "mine", file, granted=["purchases"])
    before = allowed(file, "anna")
    capsys.readouterr()
    cli.imports.import_(tmp_path / "a.csv", "mine", file)
    assert "--granted" not in capsys.readouterr().err
    cli.imports.import_(tmp_path / "a.csv", "mine", file, granted=["contact.email"])
    assert (
        capsys.readouterr()
        .err.strip()
        .splitlines()[-1]
        .startswith("--granted counts for customers who are new")
    )
    assert allowed(file, "anna") == before


def test_a_file_that_tells_nothing_new_is_told(file, tmp_path, capsys):
    sales(tmp_path / "a.csv", week())
    cli.imports.import_(tmp_path / "a.csv", "mine", file)
    assert "are new" not in capsys.readouterr().out
    with cli.stores.live_engine(file, "mine") as (_, shop):
        (tmp_path / "products.csv").write_text("\n".join(["sku", *shop.assortment.sku]) + "\n", "utf-8")
    cli.imports.import_(None, "mine", file, products=tmp_path / "products.csv")
    assert "  0 products are new" in capsys.readouterr().out


def test_the_demo_is_not_let_into_a_store_of_somebody_else(file, tmp_path):
    sales(tmp_path / "a.csv", week())
    cli.imports.import_(tmp_path / "a.csv", "mine", file)
    with pytest.raises(
        SettingError, match=r"has mine, and everybody knows the demo's keys.*Leave --demo out"
    ):
        host.run(file, "127.0.0.1", 0, 1, True, print)
    with cli.stores.live_engine(file, None) as (_, shop):  # the only one
        assert shop.name == "mine"


def test_serving_a_store_that_is_not_there_makes_none(tmp_path):
    with pytest.raises(SettingError, match=r"there is no store .*typo\.db"):
        host.run(f"sqlite:///{tmp_path}/deep/typo.db", "127.0.0.1", 0, 1, False, print)
    assert not list(tmp_path.iterdir())


def test_what_is_to_be_copied_is_quoted(file, tmp_path, capsys):
    sales(tmp_path / "a.csv", week())
    cli.imports.import_(tmp_path / "a.csv", "my shop", file)
    assert "--retailer 'my shop' --store" in capsys.readouterr().out.replace("\n", " ")


@pytest.mark.parametrize("name", ["a\nb", "x" * 101, "tab\tbed"])
def test_a_name_that_nobody_could_write_again_is_refused(file, tmp_path, name):
    sales(tmp_path / "a.csv", week())
    with pytest.raises(SettingError, match=r"is no name\. Give at most 100 characters in one line"):
        cli.imports.import_(tmp_path / "a.csv", name, file)


@pytest.mark.parametrize(("option", "word"), [("zone", "Europe/Berlin"), ("policy", "blast")])
def test_another_zone_or_policy_is_refused(file, tmp_path, option, word):
    panel = sales(tmp_path / "a.csv", week())
    bring(file, panel, **{option: "UTC" if option == "zone" else "considerate"})
    before = rows_of(file)
    with pytest.raises(
        SettingError, match=f"--{option} {word}: the retailer 'mine' is there already and has"
    ):
        bring(file, panel, **{option: word})
    assert rows_of(file) == before
    assert bring(file, panel, zone="UTC", policy="considerate")["again"] == 4


def test_what_became_of_baskets_is_printed(file, tmp_path, capsys):
    sales(tmp_path / "a.csv", week())
    sales(tmp_path / "b.csv", week("2026-03-21,anna,beer,2.50,1,late", "2026-03-21,eva,milk,2.50,1,e"))
    cli.imports.import_(tmp_path / "a.csv", "mine", file)
    first = capsys.readouterr().out
    assert "told this once" in first and "count once" not in first
    cli.imports.import_(tmp_path / "b.csv", "mine", file)
    again = capsys.readouterr().out
    assert "4 baskets were here before" in again and "2 baskets are not kept" in again
    assert "that the retailer does not have" not in again
    cli.imports.import_(tmp_path / "b.csv", "mine", file, json=True)
    assert json.loads(capsys.readouterr().out)["again"] == 6


def test_lines_of_unknown_categories_are_counted(file, tmp_path, capsys):
    header = "date,card,sku,category,net,quantity,basket"
    known = [
        f"2026-03-{day:02d},{card},milk,dairy,2.50,1,{card}-{day}"
        for day in (1, 20)
        for card in ("anna", "bob")
    ]
    bring(file, sales(tmp_path / "a.csv", known, header))
    sales(tmp_path / "b.csv", [*known, "2026-03-21,anna,beer,drinks,2.50,1,late"], header)
    cli.imports.import_(tmp_path / "b.csv", "mine", file)
    assert "1 line of a category that the retailer does not have" in capsys.readouterr().out


def test_a_single_basket_can_be_added_to_a_retailer_that_is_there(file, tmp_path, capsys):
    (tmp_path / "b.csv").write_text(f"{HEADER}\n2026-03-21,anna,milk,2.50,3,late\n", "utf-8")
    for name in ("mine", "mien"):
        with pytest.raises(BadInput, match=rf"two cards.*\? This would set '{name}' up.*has (none|mine)"):
            cli.imports.import_(tmp_path / "b.csv", name, file)
        assert (tmp_path / "store.db").exists() == (name == "mien")
        bring(file, sales(tmp_path / "a.csv", week()))
    cli.imports.import_(tmp_path / "b.csv", "mine", file)
    assert bought(file)[-1] == ("2026-03-21", 3, "late")


def test_a_few_days_set_no_retailer_up(file, tmp_path):
    (tmp_path / "b.csv").write_text("\n".join([HEADER, *week()[:4]]) + "\n", "utf-8")
    with pytest.raises(BadInput, match="1 day is too few to see anyone return: give at least 14"):
        cli.imports.import_(tmp_path / "b.csv", "mine", file)


# ---- words that cannot be ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", " "])
def test_a_retailer_without_a_name_is_refused(file, tmp_path, name):
    sales(tmp_path / "a.csv", week())
    with pytest.raises(SettingError, match=r"--retailer .* names nobody"):
        cli.imports.import_(tmp_path / "a.csv", name, file)
    cli.imports.import_(tmp_path / "a.csv", "mine", file)
    for command in (cli.live.verify, lambda **told: cli.live.replay("x", **told)):
        with pytest.raises(SettingError, match=r"--retailer .* names nobody"):
            command(store=file, retailer=name)
    cli.live.verify(store=file)


@pytest.mark.parametrize("currency", ["XYZW", "eu1", "12"])
def test_a_currency_that_is_none_is_refused(file, tmp_path, currency):
    sales(tmp_path / "a.csv", week())
    with pytest.raises(SettingError, match=f"{currency!r}.*three letters"):
        cli.imports.import_(tmp_path / "a.csv", "mine", file, currency=currency)
    assert not (tmp_path / "store.db").exists()
    cli.imports.import_(tmp_path / "a.csv", "mine", file, currency="EUR")


def test_what_may_be_granted_is_told(file, tmp_path):
    with pytest.raises(
        SettingError, match=r"'moonlight'.*purchases, browsing.*measure.*email, app.*marketing"
    ):
        importing.granted_by(["purchases", "moonlight"])


def test_an_import_whose_retailer_another_one_took_says_so(file, tmp_path, monkeypatch):
    """Two set up the same name at once: the later one begins anew, and the earlier finds nothing of its own."""
    sales(tmp_path / "a.csv", week())
    real = importing._open

    def overtaken(store, *given):
        number, *rest = real(store, *given)
        monkeypatch.setattr(importing, "_open", real)
        cli.imports.import_(tmp_path / "a.csv", "mine", file, granted=["purchases"])
        return (number, *rest)

    monkeypatch.setattr(importing, "_open", overtaken)
    with pytest.raises(SettingError, match="another import of 'mine' began meanwhile"):
        cli.imports.import_(tmp_path / "a.csv", "mine", file, granted=["purchases"])
    cli.live.verify(file, "mine")
