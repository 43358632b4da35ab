"""What a cell means: a name, an amount of money or a date, and what is wrong with it when it means none."""

import re

import polars as pl

from regulars.errors import BadInput, SettingError

_NO_NAME = ("null", "none", "nan", "n/a")
_TIME = (
    r"(?:[T ]+(?<hour>\d{1,2}):(?<minute>\d{2})(?::(?<second>\d{2})(?:[.,]\d+)?)?"
    r"\s*(?<half>[AaPp][Mm])?\s*(?:Z|UTC|[+-]\d{2}:?\d{2})?)?$"
)
_YEAR_FIRST = r"^(?<year>\d{4})[-/.](?<month>\d{1,2})[-/.](?<day>\d{1,2})" + _TIME
_YEAR_LAST = r"^(?<first>\d{1,2})(?<mark>[-/.])(?<then>\d{1,2})[-/.](?<year>\d{4})" + _TIME
_COMPACT = r"^(?<year>\d{4})(?<month>\d{2})(?<day>\d{2})$"
_EPOCH = r"^(?<seconds>\d{9,10})(?:\.\d*)?$"
_EPOCH_MS = r"^(?<seconds>\d{9,10})\d{3}$"
_AMBIGUOUS = (
    "It could be day/month or month/day, and no row tells which. "
    "Say so with --date-format DD/MM/YYYY or --date-format MM/DD/YYYY"
)
_FIRST_YEAR, _LAST_YEAR = 1970, 2100


def names(column: pl.Series) -> pl.Series:
    """Cells as names: stripped text, whole floats without their ".0"; null where there is none.

    Examples
    --------
    >>> names(pl.Series([" 7 ", "", "NULL"])).to_list()
    ['7', None, None]
    """
    if column.dtype.is_float():
        whole = column.cast(pl.Int64, strict=False)
        if bool((whole.cast(column.dtype) == column).fill_null(True).all()):
            column = whole
    text = column.cast(pl.String).str.strip_chars()
    absent = text.str.to_lowercase().is_in(["", *_NO_NAME])
    return text.set(absent.fill_null(False), None)


def amounts(
    column: pl.Series, file: str, field: str, decimal: str | None = None, *, doubtful: bool = False
) -> tuple[pl.Series, pl.Series]:
    """Cells as numbers, and what is wrong with each.

    Currency signs, thousands' separators and a minus in brackets, as in ``(3.50)``, are understood; a column
    with decimal commas is, too.

    Parameters
    ----------
    column : text or numbers
    file, field : for messages
    decimal : "," or "."; None finds out
    doubtful : whether 1.037 may be 1037 as well, as in files from where semicolons separate columns

    Returns
    -------
    value : (rows,) f64, null where something is wrong
    kind : (rows,) str: "missing", "not a number", "not finite", or null when nothing is wrong

    Raises
    ------
    BadInput
        when over a hundredth of the column has another decimal sign than the rest, no cell tells a doubtful one,
        or its type is not one of numbers or text.
    """
    if column.dtype.is_numeric():
        value, absent = column.cast(pl.Float64), column.is_null()
    elif column.dtype == pl.String or column.dtype == pl.Null:
        text = column.cast(pl.String).str.replace_all(r"[\s\u00a0$€£¥']", "")
        absent = text.is_null() | (text == "")
        text = text.str.replace(r"^\((.*)\)$", "-$1")
        value = _decimal(text, file, field, decimal, doubtful).cast(pl.Float64, strict=False)
    else:
        raise BadInput(file, None, field, f"a column of {column.dtype}", "It must hold numbers")
    kind = pl.select(
        pl.when(pl.lit(absent))
        .then(pl.lit("missing"))
        .when(pl.lit(value).is_null())
        .then(pl.lit("not a number"))
        .when(~pl.lit(value).is_finite())
        .then(pl.lit("not finite"))
    ).to_series()
    return value.set(kind.is_not_null(), None), kind


def _decimal(text: pl.Series, file: str, field: str, decimal: str | None, doubtful: bool) -> pl.Series:
    comma, point = (_surely(text, sign, other) for sign, other in ((",", r"\."), (r"\.", ",")))
    commas, points = int(comma.sum()), int(point.sum())
    if decimal is None:
        if min(commas, points) * 100 > max(commas, points):
            mend = f"Other rows write {text.filter(point)[0]}: use one decimal sign"
            raise BadInput(file, None, field, text.filter(comma)[0], mend)
        unsure = text.filter(text.str.contains(r"^-?[1-9]\d{0,2}[.,]\d{3}$").fill_null(False))
        if doubtful and not commas and not points and len(unsure):
            whole, thousandths = (re.sub("[.,]", sign, unsure[0]) for sign in ("", "."))
            mend = (
                f"It could be {whole} or {thousandths}, and no row tells which. "
                "Say so with --decimal , or --decimal ."
            )
            raise BadInput(file, None, field, unsure[0], mend)
        decimal = "," if commas > points else "."
    if decimal == ",":
        # The few with a point are slips: read as thousands, 2.50 would be 250.
        text = text.set(point, "slip")
        return text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    grouped = text.str.contains(r"^-?\d{1,3}(?:,\d{3})+(?:\.\d*)?$").fill_null(False)
    return text.zip_with(~grouped, text.str.replace_all(",", "", literal=True))


def _surely(text: pl.Series, sign: str, other: str) -> pl.Series:
    """Cells that can be read only with this decimal sign; patterns both."""
    one = rf"[\d{other}]*\d?{sign}(?:\d{{1,2}}|\d{{4,}})"
    # Thousands begin with one to three digits, not with 0, and their sign may stand twice.
    three = rf"(?:0?|\d{{4,}}|\d{{1,3}}(?:{other}\d{{3}})+){sign}\d{{3}}"
    thousands = rf"\d{{1,3}}(?:{other}\d{{3}}){{2,}}"
    return text.str.contains(f"^-?(?:{one}|{three}|{thousands})$").fill_null(False)


def dates(
    column: pl.Series, file: str, field: str, date_format: str | None = None
) -> tuple[pl.Series, pl.Series, pl.Series]:
    """Cells as days and seconds of the day by the clock as written, and what is wrong with each.

    Understood without being told: ISO dates and timestamps, 20171231, seconds or milliseconds since 1970, and
    31/12/2017 or 12/31/2017 when some row tells which of the two it is. The commonest form of the column is
    its form.

    Parameters
    ----------
    column : text, whole numbers, dates or timestamps
    file, field : for messages
    date_format : "DD/MM/YYYY", "%d.%m.%Y", "epoch" and the like; None finds out

    Returns
    -------
    date : (rows,) date, null where something is wrong
    second : (rows,) i32, 0 where no time is given
    kind : (rows,) str: "missing", "bad date", "far date" (before 1970 or after 2100), or null

    Raises
    ------
    BadInput
        when day and month cannot be told apart, or the column's type holds no dates.
    SettingError
        when ``date_format`` is none.
    """
    if column.dtype == pl.Date or isinstance(column.dtype, pl.Datetime):
        local = column.dt.replace_time_zone(None) if isinstance(column.dtype, pl.Datetime) else column
        stamp = local.cast(pl.Datetime("us"))
        absent = column.is_null()
    elif (
        column.dtype == pl.String
        or column.dtype.is_integer()
        or column.dtype.is_float()
        or column.dtype == pl.Null
    ):
        text = column.cast(pl.Int64, strict=False) if column.dtype.is_float() else column
        text = text.cast(pl.String).str.strip_chars()
        absent = text.is_null() | (text == "")
        stamp = _guess(text, file, field) if date_format is None else _told(text, date_format)
    else:
        raise BadInput(file, None, field, f"a column of {column.dtype}", "It must hold dates")
    year = stamp.dt.year()
    far = ((year < _FIRST_YEAR) | (year > _LAST_YEAR)).fill_null(False)
    kind = pl.select(
        pl.when(pl.lit(absent))
        .then(pl.lit("missing"))
        .when(pl.lit(stamp).is_null())
        .then(pl.lit("bad date"))
        .when(pl.lit(far))
        .then(pl.lit("far date"))
    ).to_series()
    stamp = stamp.set(kind.is_not_null(), None)
    second = stamp.dt.hour().cast(pl.Int32) * 3600 + stamp.dt.minute().cast(pl.Int32) * 60
    second = (second + stamp.dt.second().cast(pl.Int32)).fill_null(0)
    return stamp.dt.date(), second, kind


def _told(text: pl.Series, date_format: str) -> pl.Series:
    if date_format == "epoch":
        return pl.from_epoch(text.cast(pl.Float64, strict=False).cast(pl.Int64, strict=False)).cast(
            pl.Datetime("us")
        )
    form = date_format
    if "%" not in form:
        for word, sign in {"YYYY": "%Y", "MM": "%m", "DD": "%d", "hh": "%H", "mm": "%M", "ss": "%S"}.items():
            form = form.replace(word, sign)
    if not (("%Y" in form or "%y" in form) and "%d" in form) and not any(
        s in form for s in ("%F", "%D", "%j", "%s")
    ):
        raise SettingError(
            f"{date_format!r} is not a date format. Write one like DD/MM/YYYY or %d.%m.%Y, or epoch"
        )
    timed = any(sign in form for sign in ("%H", "%I", "%T", "%R", "%s"))
    try:
        if timed:
            stamp = text.str.to_datetime(form, strict=False)
            return stamp.dt.replace_time_zone(None).cast(pl.Datetime("us"))
        return text.str.to_date(form, strict=False).cast(pl.Datetime("us"))
    except pl.exceptions.PolarsError as error:
        raise SettingError(
            f"{date_format!r} is not a date format. Write one like DD/MM/YYYY or %d.%m.%Y"
        ) from error


def _guess(text: pl.Series, file: str, field: str) -> pl.Series:
    forms = (_YEAR_FIRST, _YEAR_LAST, _COMPACT, _EPOCH, _EPOCH_MS)
    found = [int(text.str.contains(form.replace("?<", "?P<")).sum()) for form in forms]
    form = forms[found.index(max(found))]
    parts = text.str.extract_groups(form).struct.unnest()
    if "seconds" in parts.columns:
        return pl.from_epoch(parts["seconds"].cast(pl.Int64)).cast(pl.Datetime("us"))
    if form == _YEAR_LAST:
        day_first = _day_first(text, parts, file, field)
        parts = parts.rename(
            {"first": "day", "then": "month"} if day_first else {"first": "month", "then": "day"}
        )
    clock = pl.lit("T00:00:00")
    if "hour" in parts.columns:
        hour = pl.col("hour").cast(pl.Int32) % pl.when(pl.col("half").is_null()).then(24).otherwise(12)
        hour += pl.when(pl.col("half").str.to_lowercase() == "pm").then(12).otherwise(0)
        clock = (
            pl.when(pl.col("hour").is_null())
            .then(clock)
            .otherwise(
                pl.format(
                    "T{}:{}:{}",
                    pl.when(pl.col("hour").cast(pl.Int32) > 23)
                    .then(None)
                    .otherwise(hour)
                    .cast(pl.String)
                    .str.zfill(2),
                    pl.col("minute"),
                    pl.col("second").fill_null("00"),
                )
            )
        )
    iso = pl.format("{}-{}-{}{}", "year", pl.col("month").str.zfill(2), pl.col("day").str.zfill(2), clock)
    return parts.select(
        iso.str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False).cast(pl.Datetime("us"))
    ).to_series()


def _day_first(text: pl.Series, parts: pl.DataFrame, file: str, field: str) -> bool:
    first, then = parts["first"].cast(pl.Int32), parts["then"].cast(pl.Int32)
    days, months = int((first > 12).sum()), int((then > 12).sum())
    if days != months and min(days, months) * 100 <= max(days, months):
        return days > months
    # 31.12.2017: who writes dots writes the day first.
    if not days and not months and bool((parts["mark"].drop_nulls() == ".").all()):
        return True
    sample = text.filter(first.is_not_null())[0]
    raise BadInput(file, None, field, sample, _AMBIGUOUS)
