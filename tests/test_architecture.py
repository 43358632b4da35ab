"""Claims about the house: who may import whom, and which file names say nothing."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from regulars.retail.record import Record

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / "src" / "regulars"
SAY_NOTHING = {"utils", "util", "common", "helpers", "helper", "manager", "managers", "base", "misc"}
CONTRACTS = {
    contract["id"]: contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
}


def _lint(config: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    command = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"
    arguments = ["--config", str(config), "--cache-dir", str(tmp_path)]
    return subprocess.run(
        [sys.executable, "-c", command, *arguments], cwd=ROOT, capture_output=True, text=True
    )


def test_every_contract_is_kept(tmp_path):
    result = _lint(ROOT / "pyproject.toml", tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(CONTRACTS)} kept, 0 broken" in result.stdout


def test_the_linter_would_notice(tmp_path):
    config = tmp_path / "planted.toml"
    config.write_text(
        '[tool.importlinter]\nroot_package = "regulars"\n[[tool.importlinter.contracts]]\nname = "planted"\n'
        'type = "forbidden"\nsource_modules = ["regulars.draws"]\nforbidden_modules = ["regulars.errors"]\n'
    )
    result = _lint(config, tmp_path)
    assert result.returncode == 1
    assert "0 kept, 1 broken" in result.stdout


@pytest.mark.parametrize("face", ["retail", "service", "portal"])
def test_the_public_face_is_under_the_contract_as_soon_as_it_exists(face):
    if (HOUSE / face).exists() or (HOUSE / f"{face}.py").exists():
        assert f"regulars.{face}" in CONTRACTS["private-face"]["source_modules"]


#: Files that read or write columns of a record, and which; all others see a view. docs/consent.md says why.
READERS = {
    "retail/record.py": None,  # writes what she does and says
    "retail/consent.py": None,  # the gate
    "retail/contact_rules.py": {
        *("optin", "ring", "ring_day", "channel_day", "channel_count", "last_contact", "sent", "customer"),
        *("recent_category", "recent_day", "recent_next", "last_ask", "unlike_category", "unlike_until"),
    },
    "retail/infer.py": {"age", "kids", "bought", "visits", "inferred", "customer"},
    "retail/learn.py": {"last_day"},
    # her name, how many categories there are, and how many messages she had today, which numbers the next
    "retail/retailer.py": {"customer", "bought", "ring", "ring_day"},
    # The simulation opens shops, and counts who may be written to.
    "market/shops.py": {"optin", "customer"},
    "market/day.py": {"optin"},
    "market/kernels.py": {"optin"},
    "fidelity/lived.py": {"optin"},
    # The live engine moves records between store and retailer, and shows her all that is stored.
    "service/rows.py": {"bought", "customer"},
    "service/routes.py": {"bought", "optin"},
    "service/intake.py": {"last_visit"},
    "service/merging.py": None,
    "service/importing.py": {"optin", "customer"},
}


def test_only_these_files_read_a_record():
    found: dict[str, set[str]] = {}
    for path in HOUSE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in Record._fields:
                of = node.value.id if isinstance(node.value, ast.Name) else getattr(node.value, "attr", "")
                if of == "record":
                    found.setdefault(path.relative_to(HOUSE).as_posix(), set()).add(node.attr)
    assert {name: READERS.get(name) and columns for name, columns in found.items()} == READERS


def test_no_file_name_says_nothing():
    # A folder with a file named utils has no noun for what is in it.
    named = [path for path in HOUSE.rglob("*") if path.stem.strip("_") in SAY_NOTHING]
    assert named == []


def test_the_package_imports_without_numba():
    code = "import regulars, sys; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
