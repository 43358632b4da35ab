"""Claims about reading any retailer's tables."""

import datetime
import re

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regulars.errors import BadInput, RegularsError, SettingError, UnknownColumn
from regulars.sources import tables
from regulars.sources.panel import SCHEMAS, shelf_from

HEADER = "date,card,sku,net"
GOOD = ["2017-01-02,ann,milk,1.20", "2017-01-09,bob,bread,2.50", "2017-01-30,ann,milk,1.30"]


@pytest.fixture
def write(tmp_path):
    def _write(lines, name="sales.csv", header=HEADER):
        path = tmp_path / name
        text = "\n".join([header, *lines]) + "\n"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return _write


def rejected(path, **settings):
    target = path.with_name("left_out.csv")
    panel = tables.read(path, rejects=target, **settings)
    assert panel.rejects_file == target
    return panel, pl.read_csv(target, infer_schema=False).rows(named=True)


def test_four_columns_make_a_panel(write):
    panel = tables.read(write(GOOD))
    assert (panel.start, panel.days, panel.currency) == (datetime.date(2017, 1, 2), 29, "USD")
    assert panel.households["household_id"].to_list() == ["ann", "bob"]
    assert panel.products["product_id"].to_list() == ["bread", "milk"]
    assert panel.categories["name"].to_list() == ["ALL"]
    assert panel.lines.select("household", "day", "week", "product", "units", "net_cents").rows() == [
        (0, 0, 0, 1, 1, 120),
        (0, 28, 4, 1, 1, 130),
        (1, 7, 1, 0, 1, 250),
    ]
    assert panel.rejects.is_empty() and panel.rejects_file is None


def test_three_columns_make_every_line_one_product_of_one_category(write):
    lines = [row.replace(",milk", "").replace(",bread", "") for row in GOOD]
    panel = tables.read(write(lines, header="date,card,net"))
    assert panel.products["product_id"].to_list() == ["ALL"]
    assert panel.categories["name"].to_list() == ["ALL"]
    assert panel.lines["net_cents"].sum() == 500


def test_without_products_a_category_stands_for_its_products(write):
    panel = tables.read(write(GOOD, header="date,card,category,net"))
    assert panel.products["product_id"].to_list() == panel.categories["name"].to_list() == ["bread", "milk"]


def test_every_source_yields_the_same_schema(write):
    panel = tables.read(write(GOOD))
    for name, schema in SCHEMAS.items():
        assert {column: getattr(panel, name).schema[column] for column in schema} == dict(schema)


@pytest.mark.parametrize(
    "header",
    [
        "Customer_ID,Amount,UPC,Transaction Date",
        "household_key,SALES_VALUE,PRODUCT_ID,day",
        "Loyalty Card,Total,Item,Purchase-Date",
    ],
)
def test_common_headers_are_known_by_themselves(write, header):
    lines = ["7,1.20,11,2017-01-02", "8,2.50,12,2017-01-30"]
    panel = tables.read(write(lines, header=header))
    assert panel.lines["net_cents"].to_list() == [120, 250]
    assert panel.products["product_id"].to_list() == ["11", "12"]


def test_the_map_wins_over_what_a_header_suggests(write):
    path = write([f"{row},9.00" for row in GOOD], header=HEADER + ",gross")
    assert tables.read(path, {"net": "gross"}).lines["net_cents"].sum() == 2700


@pytest.mark.parametrize(
    ("header", "named"),
    [("day,card,amount,total", "amount, total"), ("day,card,amount,price", "amount, price")],
)
def test_of_several_amounts_none_is_guessed(write, header, named):
    path = write(["2017-01-02,ann,1.20,2.00", "2017-01-30,bob,2.50,5.00"], header=header)
    with pytest.raises(SettingError, match=rf"{named}\. Say which with --columns net=amount"):
        tables.read(path)
    assert tables.read(path, {"net": "amount"}).lines["net_cents"].sum() == 370


def test_a_price_beside_quantities_is_no_amount(write):
    path = write(
        ["2017-01-02,ann,2.40,2,1.20", "2017-01-30,bob,2.50,1,2.50"],
        header="day,card,amount,quantity,price",
    )
    assert tables.read(path).lines["net_cents"].sum() == 490


def test_it_is_told_which_columns_were_guessed(write):
    told = []
    path = write(["2017-01-02,ann,1.20", "2017-01-30,bob,2.50"], header="date,Customer,Umsatz")
    tables.read(path, {"net": "Umsatz"}, note=told.append)
    assert told == ["Columns of sales.csv: net=Umsatz, date=date, card=Customer (guessed)"]


def test_one_point_before_three_digits_is_asked_about_among_semicolons(write):
    lines = ["2017-01-02;ann;1.037", "2017-01-30;bob;12"]
    path = write(lines, header="date;card;net")
    with pytest.raises(BadInput, match=r"'1\.037' .*1037 or 1\.037.*--decimal"):
        tables.read(path)
    for decimal, cents in ((",", 104900), (".", 1304)):
        assert tables.read(path, decimal=decimal).lines["net_cents"].sum() == cents
    with pytest.raises(SettingError, match="';' is no decimal sign"):
        tables.read(path, decimal=";")
    assert tables.read(write([*lines, "2017-01-31;bob;2,50"], header="date;card;net")).lines[
        "net_cents"
    ].sum() == (104900 + 250)
    plain = write([line.replace(";", ",") for line in lines], header="date,card,net")
    assert tables.read(plain).lines["net_cents"].sum() == 1304


def test_everything_that_enriches_a_line_is_used(write):
    header = "date,time,card,sku,net,price,quantity,shop,category,brand,receipt,campaign,coupon,coupon_value"
    panel = tables.read(
        write(
            [
                "2017-01-02T10:30:00,x,ann,milk,2.00,1.20,2,north,dairy,Private,1,spring,10off,0.10",
                "2017-01-02T10:31:00,x,ann,milk,1.20,1.20,1,north,dairy,Private,2,,,",
                "2017-01-20T18:00:00,x,bob,cola,3.00,2.50,1,south,drinks,Fizz,3,,,",
            ],
            header=header,
        )
    )
    assert panel.lines["basket"].n_unique() == 3
    assert panel.lines["second"].to_list() == [37800, 37860, 64800]
    assert panel.lines["retail_disc_cents"].to_list() == [40, 0, 0]
    assert panel.products.select("product_id", "brand_private", "manufacturer").rows() == [
        ("cola", False, 0),
        ("milk", True, -1),
    ]
    assert panel.stores["store_id"].to_list() == ["north", "south"]
    assert panel.campaigns.select("campaign_id", "first_day", "last_day").rows() == [("spring", 0, 0)]
    assert panel.contacts.rows() == [(0, 0)]
    assert panel.coupons.select("coupon_upc", "saving_cents", "saving_observed", "products_total").rows() == [
        ("10off", 5, True, 1)
    ]
    assert panel.redemptions.rows() == [(0, 0, 0, 0)]
    shelf = shelf_from(panel)
    assert shelf.price[0].tolist() == pytest.approx([3.0, 1.2])
    assert shelf.depth[0, 1] == pytest.approx(0.4 / 3.6)


def test_lines_of_one_basket_and_product_are_summed(write):
    panel = tables.read(write([*GOOD, "2017-01-02,ann,milk,2.00"]))
    first = panel.lines.row(0, named=True)
    assert (first["units"], first["net_cents"]) == (2, 320)


def test_a_table_of_products_describes_them(write):
    products = write(
        ["milk,DAIRY,GROCERY,Private,1 L", "bread,,BAKERY,National,", "soap,CARE,DRUG,National,"],
        "products.csv",
        "upc,commodity,department,brand,size",
    )
    panel = tables.read(write(GOOD), products=products)
    assert panel.products.select("product_id", "brand_private", "package_size", "type_name").rows() == [
        ("bread", False, None, None),
        ("milk", True, "1 L", None),
    ]
    assert panel.categories.rows() == [(0, "BAKERY - OTHER", "BAKERY"), (1, "DAIRY", "GROCERY")]


# Rows that are left out: what stands there, and what the rejects file says.
BAD_ROWS = {
    "bad date": ("2017-02-31,ann,milk,1.00", "date", "2017-02-31", "YYYY-MM-DD"),
    "missing date": (",ann,milk,1.00", "date", "", "Fill it in"),
    "far date": ("1066-10-14,ann,milk,1.00", "date", "1066-10-14", "1970"),
    "far date, later": ("2071-01-02,ann,milk,1.00", "date", "2071-01-02", "correct the year"),
    "missing card": ("2017-01-03,,milk,1.00", "card", "", "Fill it in"),
    "missing card, null": ("2017-01-03,NULL,milk,1.00", "card", "NULL", "Fill it in"),
    "long name": (f"2017-01-03,{'x' * 300},milk,1.00", "card", "x" * 200, "256"),
    "missing sku": ("2017-01-03,ann,,1.00", "sku", "", "Fill it in"),
    "missing net": ("2017-01-03,ann,milk,", "net", "", "Fill it in"),
    "return": ("2017-01-03,ann,milk,-1.00", "net", "-1.00", "return"),
    "return, in brackets": ("2017-01-03,ann,milk,(1.00)", "net", "(1.00)", "return"),
    "not a number": ("2017-01-03,ann,milk,one", "net", "one", "3.99"),
    "not finite": ("2017-01-03,ann,milk,NaN", "net", "NaN", "3.99"),
    "not finite, infinite": ("2017-01-03,ann,milk,inf", "net", "inf", "3.99"),
    "huge number": ("2017-01-03,ann,milk,1e12", "net", "1e12", "1000000"),
    "duplicate line": (GOOD[0], "", "", "Drop the repeat"),
    "wrong number of fields": (
        "2017-01-03,ann,milk,1.00,extra",
        "",
        "2017-01-03,ann,milk,1.00,extra",
        "fields",
    ),
    "wrong number of fields, few": ("2017-01-03,ann", "", "2017-01-03,ann", "fields"),
    "unclosed quote": ('2017-01-03,"ann,milk,1.00', "", '2017-01-03,"ann,milk,1.00', "Close the quote"),
    "blank row": (",,,", "", ",,,", "Drop the row"),
    "blank row, empty": ("", "", "", "Drop the row"),
}


@pytest.mark.parametrize("kind", BAD_ROWS)
def test_a_bad_row_is_listed_with_file_line_field_value_and_mend(write, kind):
    row, field, value, mend = BAD_ROWS[kind]
    kind = kind.split(",")[0]
    panel, listed = rejected(write([GOOD[0], GOOD[1], row, GOOD[2]]))
    assert panel.lines.height == 3
    assert panel.rejects.rows() == [(kind, 1)]
    (only,) = listed
    assert (only["file"], only["line"], only["kind"]) == ("sales.csv", "4", kind)
    assert (only["field"] or "", only["value"] or "") == (field, value)
    assert mend in only["mend"]


BAD_CELLS = {
    "zero quantity": ("quantity", "0"),
    "negative quantity": ("quantity", "-2"),
    "huge quantity": ("quantity", "99999999"),
    "missing quantity": ("quantity", ""),
    "not a number": ("quantity", "two"),
    "negative price": ("price", "-3.00"),
    "not finite": ("price", "nan"),
    "huge number": ("discount", "1e9"),
}


@pytest.mark.parametrize("kind", BAD_CELLS)
def test_a_bad_cell_that_enriches_is_listed_too(write, kind):
    field, value = BAD_CELLS[kind]
    rows = [f"{row},1" for row in GOOD]
    panel, listed = rejected(write([*rows, f"2017-01-04,bob,milk,1.00,{value}"], header=f"{HEADER},{field}"))
    assert panel.lines.height == 3
    (only,) = listed
    assert (only["line"], only["kind"], only["field"], only["value"] or "") == ("5", kind, field, value)
    assert only["mend"]


def test_a_product_that_the_table_of_products_lacks_is_listed(write):
    products = write(["milk", "bread", "milk", ""], "products.csv", "sku")
    panel, listed = rejected(write([*GOOD, "2017-01-04,bob,soap,1.00"]), products=products)
    assert panel.lines.height == 3
    assert [(row["file"], row["line"], row["kind"], row["value"]) for row in listed] == [
        ("sales.csv", "5", "unknown product", "soap"),
        ("products.csv", "4", "products: repeated sku", "milk"),
        ("products.csv", "5", "products: blank row", ""),
    ]


def test_bytes_that_are_not_utf8_are_listed(tmp_path):
    path = tmp_path / "sales.csv"
    path.write_bytes("\n".join([HEADER, *GOOD, "2017-01-05,ann,crème,1.00"]).encode("latin-1"))
    panel, listed = rejected(path)
    assert panel.rejects.rows() == [("bad encoding", 1)]
    assert listed[0]["line"] == "5" and "UTF-8" in listed[0]["mend"]


@pytest.mark.parametrize("name", ["sales.parquet", "sales.pq"])
def test_parquet_is_read_with_its_own_types_and_problems(tmp_path, name):
    path = tmp_path / name
    day = datetime.datetime(2017, 1, 2, 9, 30)
    pl.DataFrame(
        {
            "date": [day, day + datetime.timedelta(20), None, day, None],
            "card": [1, 2, 3, 4, None],
            "sku": [10.0, 11.0, 12.0, 13.0, None],
            "net": [1.2, 2.5, 1.0, float("nan"), None],
        }
    ).write_parquet(path)
    panel, listed = rejected(path)
    assert panel.products["product_id"].to_list() == ["10", "11"]
    assert panel.lines["second"].to_list() == [34200, 34200]
    assert [(row["line"], row["kind"], row["field"]) for row in listed] == [
        ("3", "missing date", "date"),
        ("4", "not finite", "net"),
        ("5", "blank row", None),
    ]


@pytest.mark.parametrize(
    "form", ["%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y%m%d", "%Y-%m-%dT%H:%M:%S", "%s"]
)
def test_the_usual_forms_of_dates_are_understood(write, form):
    days = [datetime.datetime(2017, 3, day, tzinfo=datetime.UTC) for day in (1, 2, 25, 31)]
    written = [str(int(day.timestamp())) if form == "%s" else day.strftime(form) for day in days]
    lines = [f"{date},{card},milk,1.00" for date, card in zip(written, "abab", strict=True)]
    panel = tables.read(write(lines))
    assert panel.start == datetime.date(2017, 3, 1)
    assert sorted(panel.lines["day"]) == [0, 1, 24, 30]


def test_dates_that_could_be_either_ask_for_the_format(write):
    path = write([f"0{month}/0{day}/2017,{card},milk,1" for month, day, card in ((1, 2, "a"), (3, 4, "b"))])
    with pytest.raises(BadInput, match=r"sales\.csv, date: '01/02/2017' .*--date-format DD/MM/YYYY"):
        tables.read(path)
    assert tables.read(path, date_format="MM/DD/YYYY").start == datetime.date(2017, 1, 2)
    assert tables.read(path, date_format="DD/MM/YYYY").start == datetime.date(2017, 2, 1)


def test_semicolons_decimal_commas_and_a_byte_order_mark_are_understood(tmp_path):
    path = tmp_path / "umsatz.csv"
    lines = ["date;card;sku;net", "02.01.2017;ann;milk;1,20", "30.01.2017;bob;cheese;1.012,50"]
    path.write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    assert sorted(tables.read(path).lines["net_cents"]) == [120, 101250]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_every_encoding_and_delimiter_gives_the_same_panel(tmp_path, encoding, delimiter):
    path = tmp_path / "sales.txt"
    path.write_bytes("\n".join([HEADER, *GOOD, ""]).replace(",", delimiter).encode(encoding))
    assert tables.read(path).lines["net_cents"].to_list() == [120, 130, 250]


def test_quotes_may_hold_the_delimiter(write):
    panel = tables.read(write([*GOOD, '2017-01-05,"ann","milk, ""fresh""",1.00']))
    assert 'milk, "fresh"' in panel.products["product_id"].to_list()


# Files that are refused as a whole: name, content, and what the one error says.
BAD_FILES = {
    "missing column": (
        "sales.csv",
        "date,card,turnover\n2017-01-01,a,1\n",
        UnknownColumn,
        r"'net' is not in sales\.csv; it has date, card, turnover\. .*--columns net=turnover",
    ),
    "empty": ("sales.csv", "", BadInput, r"sales\.csv: an empty file\. Export"),
    "header only": ("sales.csv", "date,card,net\n", BadInput, r"sales\.csv: a header and no rows\. Export"),
    "no header": ("sales.csv", "\n2017-01-01,a,1\n", BadInput, r"sales\.csv: .*line 1"),
    "header twice": (
        "sales.csv",
        "date,card,net,Net\n2017-01-01,a,1,1\n",
        BadInput,
        r"sales\.csv, the header: 'Net' .*rename one",
    ),
    "header unnamed": ("sales.csv", "date,,net\n2017-01-01,a,1\n", BadInput, r"the header.*column 2"),
    "mixed header": (
        "sales.csv",
        "date,card;net\n2017-01-01,a;1\n",
        BadInput,
        r"header.*a comma and a semicolon",
    ),
    "mixed rows": ("sales.csv", "date;card;net\n2017-01-01,a,1\n", BadInput, r"line 2.*a semicolon.*a comma"),
    "binary": ("sales.csv", "\x00\x01\x02date", BadInput, r"not a CSV\. .*UTF-8"),
    "workbook": ("sales.csv", "PK\x03\x04....", BadInput, r"not a CSV\. .*save the sheet as CSV"),
    "Parquet in disguise": ("sales.csv", "PAR1....", BadInput, r"not a CSV\. .*\.parquet"),
    "not Parquet": ("sales.parquet", "date,card,net\n", BadInput, r"sales\.parquet: .*not Parquet"),
    "suffix": ("sales.xlsx", "x", BadInput, r"sales\.xlsx: a file ending in \.xlsx\. .*\.csv"),
    "all bad": (
        "sales.csv",
        "date,card,net\n2017-01-01,a,x\nno,b,1\n",
        BadInput,
        r"sales\.csv, line 2, net: 'x' .*3\.99.*All 2 rows .*1 bad date, 1 not a number",
    ),
    "one card": (
        "sales.csv",
        "date,card,net\n2017-01-01,a,1\n2017-02-01,a,2\n",
        BadInput,
        r"sales\.csv, card: 'a' .*two cards",
    ),
    "few days": (
        "sales.csv",
        "date,card,net\n2017-01-01,a,1\n2017-01-13,b,2\n",
        BadInput,
        r"sales\.csv, date: .*13 days are too few.*14",
    ),
    "many weeks": (
        "sales.csv",
        "date,card,net\n"
        + "".join(
            f"{year}-06-01,{card},1\n{year}-12-01,{card},1\n" for year in range(2010, 2018) for card in "ab"
        ),
        BadInput,
        r"too many: keep at most 255 weeks",
    ),
    "mixed decimals": (
        "sales.csv",
        'date,card,net\n2017-01-01,a,"1,50"\n2017-01-13,b,2.50\n',
        BadInput,
        r"sales\.csv, net: '1,50' .*2\.50: use one decimal sign",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_cannot_be_used_gets_one_error_with_its_mend(tmp_path, case):
    name, text, error, message = BAD_FILES[case]
    path = tmp_path / name
    path.write_bytes(text.encode())
    with pytest.raises(error) as caught:
        tables.read(path)
    assert re.search(message, str(caught.value)), str(caught.value)


def test_a_path_that_is_no_file_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"sales\.csv: no such file\. Check the path"):
        tables.read(tmp_path / "sales.csv")
    with pytest.raises(BadInput, match="a folder"):
        tables.read(tmp_path)


def test_a_map_that_names_nothing_is_refused(write):
    path = write(GOOD)
    with pytest.raises(UnknownColumn, match=r"'turnover' is not in sales\.csv; it has date, card, sku, net"):
        tables.read(path, {"net": "turnover"})
    with pytest.raises(SettingError, match=r"'money' is nothing that we ask for\. Choose among date, card"):
        tables.read(path, {"money": "net_paid"})
    with pytest.raises(SettingError, match="Did you mean net=turnover"):
        tables.read(path, {"turnover": "net"})


def test_the_rejects_never_overwrite_what_is_read(write):
    path = write(GOOD)
    before = path.read_bytes()
    with pytest.raises(SettingError, match="would overwrite"):
        tables.read(path, rejects=path)
    assert path.read_bytes() == before


def test_the_rejects_are_listed_even_when_nothing_is_left(write):
    path = write(["x,a,milk,1", "y,b,milk,1"])
    with pytest.raises(BadInput, match="All 2 rows"):
        tables.read(path, rejects=path.with_name("left_out.csv"))
    assert pl.read_csv(path.with_name("left_out.csv")).height == 2


def test_the_complete_journey_through_a_csv_is_the_same_panel(panel, tmp_path):
    some = panel.lines.filter(pl.col("household") < 60)
    written = (
        some.join(panel.households, on="household")
        .join(panel.products, on="product")
        .join(panel.categories, on="category")
        .join(panel.stores, on="store")
        .select(
            date=pl.lit(panel.start) + pl.duration(days="day"),
            household_id="household_id",
            upc="product_id",
            sales_value=pl.col("net_cents") / 100,
            quantity="units",
            retail_disc=pl.col("retail_disc_cents") / 100,
            coupon_disc=pl.col("coupon_disc_cents") / 100,
            store="store_id",
            category="name",
            basket_id="basket",
        )
        .with_columns(pl.col("date").dt.date())
        .sample(fraction=1, shuffle=True, seed=3)
    )
    for name, save in (("cj.csv", written.write_csv), ("cj.parquet", written.write_parquet)):
        save(tmp_path / name)
        read = tables.read(tmp_path / name)
        assert read.lines.height == some.height and read.rejects.is_empty()
        assert read.households.height == some["household"].n_unique()
        assert read.products.height == some["product"].n_unique()
        assert read.lines["basket"].n_unique() == some["basket"].n_unique()
        for column in ("units", "net_cents", "retail_disc_cents", "coupon_disc_cents"):
            assert read.lines[column].sum() == some[column].sum()
        first = datetime.timedelta(some["day"].min())
        assert read.start == panel.start + first


CELL = st.one_of(
    st.sampled_from(
        ["", " ", "2017-01-01", "2017-12-31", "31/12/2017", "20170101", "1e400", "-0", "nan", '"', "1,5"]
    ),
    st.text(max_size=12),
    st.integers().map(str),
    st.floats().map(str),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.lists(CELL, min_size=0, max_size=6), max_size=12),
    delimiter=st.sampled_from([",", ";", "\t"]),
    good=st.booleans(),
)
def test_garbage_is_refused_or_counted_never_a_crash(tmp_path, rows, delimiter, good):
    lines = [delimiter.join(row) for row in rows]
    if good:
        lines += [row.replace(",", delimiter) for row in GOOD]
    path = tmp_path / "sales.csv"
    text = "\n".join([HEADER.replace(",", delimiter), *lines])
    path.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    try:
        panel = tables.read(path)
    except RegularsError:
        return
    body = text[:-1] if text.endswith("\n") else text
    # Without a quantity every kept row is one unit, however its line was summed.
    assert panel.lines["units"].sum() + panel.rejects["count"].sum() == body.count("\n")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(junk=st.binary(max_size=400), suffix=st.sampled_from([".csv", ".parquet"]))
def test_no_bytes_crash_the_reader(tmp_path, junk, suffix):
    path = tmp_path / f"junk{suffix}"
    path.write_bytes(junk)
    with pytest.raises(RegularsError):
        tables.read(path)


def test_one_column_cannot_be_two_things(write):
    with pytest.raises(SettingError, match=r"gives 'net' to both net and price"):
        tables.read(write(GOOD), {"net": "net", "price": "net"})


def test_another_encoding_is_read_when_it_is_named(tmp_path):
    path = tmp_path / "sales.csv"
    path.write_bytes("\n".join([HEADER, *GOOD, "2017-01-30,zoë,milk,1.30"]).encode("latin-1"))
    assert tables.read(path).rejects.height == 1
    panel = tables.read(path, encoding="latin-1")
    assert panel.rejects.height == 0 and "zoë" in panel.households["household_id"].to_list()
    with pytest.raises(SettingError, match="no encoding 'latin-99'"):
        tables.read(path, encoding="latin-99")
