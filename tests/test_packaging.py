"""What is installed: the lock files hold what pyproject.toml asks for, the wheel all it needs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

CHECKOUT = Path(__file__).parents[1]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-build.lock")


def pins(lock: str) -> dict[str, str]:
    found = re.findall(r"^([a-z0-9-]+)==([^ ;]+)", (CHECKOUT / lock).read_text(), re.MULTILINE)
    return dict(found)


def requirements(lock: str) -> list[str]:
    groups: dict[str, list[object]] = PROJECT["dependency-groups"]
    runtime: list[str] = PROJECT["project"]["dependencies"]
    demo: list[str] = PROJECT["project"]["optional-dependencies"]["demo"]
    build: list[str] = [line for line in groups["build"] if isinstance(line, str)]
    dev: list[str] = [line for line in groups["dev"] if isinstance(line, str)]
    backend: list[str] = PROJECT["build-system"]["requires"]
    return {
        "requirements.lock": runtime,
        "requirements-dev.lock": [*runtime, *demo, *build, *dev],
        "requirements-build.lock": [*build, *backend],
    }[lock]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_every_declared_requirement_to_an_allowed_version(lock: str) -> None:
    pinned = pins(lock)
    wanted = [Requirement(line) for line in requirements(lock)]
    missing = [
        str(one)
        for one in wanted
        if not one.specifier.contains(pinned.get(one.name.lower(), ""), prereleases=True)
    ]
    assert not missing, f"run `make lock`: {lock} does not hold {missing}"


def test_the_locks_agree() -> None:
    runtime, dev = pins("requirements.lock"), pins("requirements-dev.lock")
    assert runtime.items() <= dev.items()


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_host_and_hashes_everything(lock: str) -> None:
    text = (CHECKOUT / lock).read_text()
    assert "://" not in text
    assert "--index" not in text
    for block in re.split(r"\n(?=[a-z])", text.split("make lock\n")[1]):
        assert "--hash=sha256:" in block


def test_an_installed_wheel_upgrades_a_database_outside_a_checkout(
    empty_postgres_url: str, tmp_path: Path
) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    subprocess.run([*pip, *build, str(CHECKOUT)], check=True)
    [wheel] = tmp_path.glob("calmon-*.whl")
    installed = tmp_path / "installed"
    subprocess.run([*pip, "install", "--no-deps", "-t", str(installed), str(wheel)], check=True)
    # PYTHONPATH comes before the path of an editable install.
    environment = {
        **os.environ,
        "PYTHONPATH": str(installed),
        "CALMON_DATABASE_URL": empty_postgres_url,
    }
    for command in ("upgrade", "check"):
        calmon = [sys.executable, "-m", "monitor", "db", command]
        subprocess.run(calmon, cwd=tmp_path, env=environment, check=True)
    where = [sys.executable, "-c", "import monitor; print(monitor.__file__)"]
    found = subprocess.run(
        where, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    assert Path(found.stdout.strip()).is_relative_to(installed)
