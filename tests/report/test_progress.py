"""Progress where there is no terminal."""

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


def test_a_quiet_run_says_nothing(capsys):
    with progress.live_progress(False) as shown:
        shown.say("Reading")
        shown.tell([("blast", 1, 2)], 1)
    assert capsys.readouterr().err == ""
