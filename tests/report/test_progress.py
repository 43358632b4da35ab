"""Progress where there is no terminal."""

import io
import re

from regulars.report import progress


def test_a_log_hears_now_and_then_which_arm_is_lived_and_how_long_it_takes(monkeypatch, capsys):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    with progress.live_progress(True) as shown:
        for second in range(0, 31):
            clock[0] = float(second)
            shown.tell([("blast in world 1", 3 * second, 100), ("silence in world 1", 100, 100)], 4)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[-1] == "Living: 1.9 of 4 arms; blast in world 1, day 90 of 100; about 70 s left"


def test_a_narrow_terminal_shortens_what_is_lived_and_not_the_time(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    with progress.live_progress(True) as shown:
        shown.say("Fitting")
        shown.tell([("a policy with a long name in world 1", 3, 100)], 4)
        shown.note("Columns of sales.csv: net=Amount (guessed)")
        shown._bar.refresh()
    told = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    assert "Columns of sales.csv: net=Amount (guessed)\n" in told
    lines = [line for line in re.split(r"[\r\n]+", told) if "Living" in line]
    assert any(" 0 s" in line and "a policy" in line and "…" in line for line in lines)
    assert all(len(line) <= 60 for line in lines)


def test_time_is_told_in_seconds_minutes_and_hours():
    assert [progress._clock(seconds) for seconds in (20.4, 207, 3807)] == ["20 s", "3:27", "1:03:27"]


def test_a_quiet_run_says_nothing(capsys):
    with progress.live_progress(False) as shown:
        shown.say("Reading")
        shown.tell([("blast", 1, 2)], 1)
    assert capsys.readouterr().err == ""


class Screen(io.StringIO):
    """What is written to, and whether somebody looks at it."""

    def __init__(self, terminal):
        super().__init__()
        self.isatty = lambda: terminal


def counted(monkeypatch, terminal):
    """A thousand baskets, fifty at a time, two seconds each."""
    clock = iter(range(0, 200, 2))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    screen = Screen(terminal)
    count = progress.Counting(screen)
    for done in range(50, 1001, 50):
        count(done, 1000, "baskets")
    return screen.getvalue()


def test_a_count_is_a_line_now_and_then(monkeypatch):
    lines = counted(monkeypatch, False).splitlines()
    assert lines[0] == "250 of 1,000 baskets, 25%, 25 a second, about 30 s left"
    assert len(lines) == 4 and lines[-1] == "1,000 of 1,000 baskets"


def test_a_count_is_one_bar_on_a_terminal(monkeypatch):
    text = counted(monkeypatch, True)
    assert text.count("\n") == 1 and text.count("\r") == 20
    assert "[#####...............] 250 of 1,000 baskets" in text and text.rstrip().endswith(
        "1,000 of 1,000 baskets"
    )
