"""Images and what stands around them: no Docker engine runs here, all else about them is held."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from scnet_edge.live.prometheus import metrics_text
from scnet_edge.machine.telemetry import Telemetry
from scnet_edge.runtime.status import SinkStats, Status

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
DOCKERFILES = sorted(DEPLOY.glob("*.Dockerfile"))
STATUS = Status(
    state="running",
    mono_s=1.0,
    uptime_s=1.0,
    clock_synced=True,
    fps=9.0,
    recent_ms=(1.0, 2.0),
    captured=9,
    processed=9,
    in_flight=0,
    dropped={"stale": 1},
    faults={"black": 1},
    cracks=3,
    engine="fake",
    engine_crashes=0,
    latency_ms={"engine": (1.0, 2.0, 3.0)},
    telemetry=Telemetry(
        power_mode="15W",
        clocks_mhz={"gpu": 600.0},
        temperatures_c={"cpu": 50.0},
        power_mw={"VDD_IN": 5000.0},
    ),
    sinks=[SinkStats(name="jsonl:run.jsonl", accepted=1, written=1)],
    events=1,
)


def instruction(path: Path, name: str) -> str:
    """Return what follows the last instruction of that name, continued lines joined."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    return re.findall(rf"^{name} (.+)$", text, re.M)[-1]


def compose() -> dict[str, Any]:
    read: dict[str, Any] = YAML(typ="safe").load(DEPLOY / "compose.yaml")
    return read


@pytest.mark.skipif(not shutil.which("hadolint"), reason="hadolint has no wheel for this machine")
def test_the_linter_finds_nothing() -> None:
    command = ["hadolint", *map(str, DOCKERFILES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_an_image_runs_as_nobody_and_keeps_one_folder(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert instruction(path, "USER") == "10001"
    assert re.findall(r"^VOLUME (.+)$", text, re.M) == ["/data"]
    assert json.loads(instruction(path, "ENTRYPOINT")) == ["scnet-edge"]
    assert json.loads(instruction(path, "CMD"))[:2] == ["run", "/data/bundle"]
    pinned = re.findall(r"^COPY (constraints/\S+)", text, re.M)
    assert [(ROOT / name).is_file() for name in pinned] == [True]
    assert "--require-hashes" in text
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored == ["*", "!constraints", "!dist/*.whl"]  # nothing else goes to the daemon


def test_the_images_are_for_the_machines_that_have_constraints() -> None:
    used = {re.findall(r"constraints/(\w+)", path.read_text())[0] for path in DOCKERFILES}
    assert used == {path.stem for path in (ROOT / "constraints").glob("*.txt")}


def test_the_check_of_health_sees_a_run_and_its_end(
    darkness_bundle: Callable[[tuple[int, int]], Path], tmp_path: Path
) -> None:
    """The command of the images, at another port, against the run that an image starts."""
    checks = {instruction(path, "HEALTHCHECK") for path in DOCKERFILES}
    [check] = checks
    _, _, code = json.loads(re.search(r"CMD (\[.*\])$", check)[1])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", code.replace("8765", str(port))]

    def healthy() -> bool:
        return subprocess.run(command, capture_output=True, timeout=60).returncode == 0

    assert not healthy()
    source = "sim://pipe?size=96x128&fps=20"
    arguments = ["run", str(darkness_bundle((64, 96))), "--source", source, "--no-isolate"]
    arguments += ["--live", f"127.0.0.1:{port}"]
    main = "from scnet_edge.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", main, *arguments],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as run:
        end_s = time.monotonic() + 60
        while not (seen := healthy()) and time.monotonic() < end_s:
            time.sleep(0.2)
        run.terminate()
        assert run.wait(60) == 0
    assert seen
    assert not healthy()


def test_every_service_is_shut_in() -> None:
    services = compose()["services"]
    assert set(services) == {"scnet-edge", "mosquitto", "prometheus", "grafana"}
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert re.fullmatch(r"[a-z/-]+:[\w.]+", service["image"])
        assert "latest" not in service["image"]
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published == ["8765:8765", "127.0.0.1:3000:3000"]
    assert services["scnet-edge"]["volumes"] == ["data:/data"]


def test_what_the_services_mount_is_there() -> None:
    mounted = [
        volume.split(":")[0]
        for service in compose()["services"].values()
        for volume in service["volumes"]
    ]
    files = [name for name in mounted if name.startswith("./")]
    assert files
    assert [name for name in files if not (DEPLOY / name).exists()] == []
    assert {name for name in mounted if not name.startswith("./")} == compose()["volumes"].keys()


def test_the_services_name_each_other_rightly() -> None:
    services = compose()["services"]
    command = services["scnet-edge"]["command"]
    sinks = [value for key, value in pairwise(command) if key == "--sink"]
    broker, served = sinks
    assert broker.split("/")[2] in services
    address = served.removeprefix("prometheus://")
    scraped = YAML(typ="safe").load(DEPLOY / "prometheus/prometheus.yml")["scrape_configs"]
    assert scraped[0]["static_configs"][0]["targets"] == [address]
    listening = services["prometheus"]["command"][1].removeprefix("--web.listen-address=")
    sources = YAML(typ="safe").load(DEPLOY / "grafana/provisioning/datasources/prometheus.yaml")
    assert sources["datasources"][0]["url"] == f"http://{listening}"
    for name in ("prometheus", "grafana"):  # in one network namespace, the loopback is theirs
        assert services[name]["network_mode"] == "service:scnet-edge"


def test_the_dashboard_shows_what_a_run_measures() -> None:
    dashboard = json.loads((DEPLOY / "grafana/dashboards/robot.json").read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    text = metrics_text(lambda: STATUS, requests_refused=0).decode()
    measured = dict(re.findall(r"^(scnet_edge_\w+)(?:\{(.*)\})? ", text, re.M))
    shown = {name for query in queries for name in re.findall(r"scnet_edge_\w+", query)}
    assert shown <= measured.keys()
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            labels = re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
            [name] = re.findall(r"scnet_edge_\w+", target["expr"])
            assert all(f'{label}="' in measured[name] for label in labels)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    sources = {panel["datasource"]["uid"] for panel in dashboard["panels"]}
    provisioned = YAML(typ="safe").load(DEPLOY / "grafana/provisioning/datasources/prometheus.yaml")
    assert sources == {provisioned["datasources"][0]["uid"]}
