"""What holds for the source checkout: sizes, exports, links, and files that must not rot."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import scnet_edge
import scnet_edge.cli
from benchmarks.paper_ablation import Figures, cell
from benchmarks.paper_tables import TABLES
from benchmarks.prior_report import PriorStudy
from scnet_edge.bench.schema import read_result
from scnet_edge.bench.suite import read_suite, suite_sha256
from scnet_edge.bundle.gate_record import GateRecord
from scnet_edge.bundle.recipe import read_recipe
from scnet_edge.config import read_json
from scnet_edge.evaluation import Evaluation
from scnet_edge.models.cards import Card, find_card, read_card, shipped_models
from scnet_edge.quantization.ranges import read_ranges

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
MAX_LINES = 250
MAX_WEIGHT_BYTES = 200 * 2**20
MAX_PACKAGED_BYTES = 10 * 2**20
WRITTEN = ("*.py", "*.md", "*.toml", "*.yml", "*.html", "Makefile", "check", "run")
OURS = ("scnet_edge", "tests", "scripts", "export", "calibration", "benchmarks", "docs", ".ci", ".")
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")


def written_files() -> Iterator[Path]:
    """Yield the text files of the project, without what tools leave behind."""
    for folder in OURS:
        for pattern in WRITTEN:
            walk = (ROOT / folder).glob if folder == "." else (ROOT / folder).rglob
            yield from (path for path in walk(pattern) if path.is_file())


def under(folder: str, pattern: str) -> list[Path]:
    """Return the files of a folder, each a test; an empty list skips the test."""
    return sorted((ROOT / folder).rglob(pattern))


def name_of(path: Path) -> str:
    """Return a path as the test's name."""
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", under("scnet_edge", "*.py"), ids=name_of)
def test_a_file_fits_on_a_few_screens(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def test_nothing_is_left_unfinished() -> None:
    found = [
        f"{name_of(path)}:{number}"
        for path in written_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert found == []


def test_exports_are_sorted_and_exist() -> None:
    names = scnet_edge.__all__
    assert names == sorted(names)
    assert all(getattr(scnet_edge, name) for name in names)
    public = {name for name, value in vars(scnet_edge).items() if isinstance(value, type)}
    assert public <= set(names)


def test_the_version_is_stated_once() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.+)"$', pyproject, re.M)
    assert version
    assert f"## {version[1]}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_weights_stay_small() -> None:
    packaged, full = under("scnet_edge/weights", "*"), under("weights", "*")
    assert sum(path.stat().st_size for path in packaged) < MAX_PACKAGED_BYTES
    assert sum(path.stat().st_size for path in packaged + full) < MAX_WEIGHT_BYTES


def test_no_pickle_is_shipped() -> None:
    assert {p.suffix for p in under("scnet_edge/weights", "*.*") + under("weights", "*.*")} <= {
        ".json",
        ".md",
        ".safetensors",
    }


@pytest.mark.parametrize(
    "path", under("scnet_edge/weights", "*.json") + under("weights", "*.json"), ids=name_of
)
def test_every_card_loads_and_has_its_weights(path: Path) -> None:
    assert path.with_name(read_card(path).file).is_file()


@pytest.mark.parametrize("path", under("export", "*.toml"), ids=name_of)
def test_every_recipe_loads_and_names_a_shipped_model(path: Path) -> None:
    assert find_card(read_recipe(path).model).kind == "scnet"


@pytest.mark.parametrize("path", under("calibration", "*.toml"), ids=name_of)
def test_every_calibration_is_of_the_shipped_weights(path: Path) -> None:
    calibration = read_ranges(path)
    shipped = {name: find_card(name).sha256 for name in calibration.weights_sha256}
    assert calibration.weights_sha256 == shipped
    assert all(largest > 0 for largest in calibration.ranges.values())


@pytest.mark.parametrize(
    "card", [c for c in shipped_models() if c.kind == "scnet"], ids=lambda c: c.name
)
def test_the_gate_judged_what_ships(card: Card) -> None:
    gate = read_json(ROOT / f"calibration/gates/{card.name}.json", GateRecord)
    ranges = read_ranges(ROOT / f"calibration/{card.name}.toml")
    assert gate.calibration_key == ranges.key
    assert gate.weights_sha256 == {name: find_card(name).sha256 for name in ranges.weights_sha256}
    assert card.name in gate.weights_sha256
    assert (gate.shipped, gate.rungs[0].name, gate.rungs[0].passed) == ("INT8", "INT8", True)
    assert not gate.loss_allowed
    lost = {s.name: s.f1_fp32 - s.f1 for s in gate.rungs[0].strata}
    most = {"deepcrack": 0.005, "crackforest": 0.01, "masonry": 0.01}
    assert all(lost[name] <= allowed for name, allowed in most.items())


def test_there_are_gates_of_shipped_models_only() -> None:
    gated = {path.stem for path in under("calibration/gates", "*.json")}
    assert gated == {card.name for card in shipped_models() if card.kind == "scnet"}


@pytest.mark.parametrize("path", under("calibration/gates", "*.json"), ids=name_of)
def test_the_page_states_what_int8_costs(path: Path) -> None:
    gate = read_json(path, GateRecord)
    int8 = gate.rungs[0]
    assert (int8.name, gate.images) == ("INT8", 308)
    lost = {stratum.name: stratum.f1_fp32 - stratum.f1 for stratum in int8.strata}
    strata = ("deepcrack", "crackforest", "masonry", "thin", "dark")
    cells = [f"{lost[name]:.4f}" for name in strata]
    low, high = int8.lost_ci95
    cells += [f"{int8.lost_f1:.4f} [{low:.4f}, {high:.4f}]", gate.shipped]
    row = f"| `{path.stem}` | {' | '.join(cells)} |"
    assert row in (ROOT / "docs/int8.md").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("path", under("calibration/sensitivity", "*.json"), ids=name_of)
def test_the_page_states_where_the_error_of_int8_enters(path: Path) -> None:
    found = json.loads(path.read_text(encoding="utf-8"))
    page = (ROOT / "docs/int8.md").read_text(encoding="utf-8").splitlines()
    for part in found["chain"]:
        flips = f"{100 * part['prior_flip_rate']:.3f} %"
        assert f"| {part['part']} | {part['lost_f1']:+.4f} | {flips} |" in page


@pytest.mark.parametrize("path", under("calibration/finetuned", "*.json"), ids=name_of)
def test_the_page_states_what_fine_tuning_recovers(path: Path) -> None:
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["images"] == 237
    scores = (f"{found[key]:.4f}" for key in ("f1_fp32", "f1_int8", "f1_finetuned"))
    row = f"| `{found['model']}`, {found['clip']:g} | {' | '.join(scores)} | {found['steps']} |"
    assert row in (ROOT / "docs/int8.md").read_text(encoding="utf-8").splitlines()


def test_the_page_states_how_rare_cracks_are() -> None:
    counted = json.loads((ROOT / "benchmarks/results/data.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    for spec, row in counted.items():
        shares = f"{row['crack_percent']:.2f} | {row['crop_crack_percent']:.2f}"
        assert f"| {spec.split(':')[0]} | {row['images']} | {shares} |" in page


@pytest.mark.parametrize("path", under("benchmarks/results/tables", "*.json"), ids=name_of)
def test_the_page_states_the_tables_that_were_made(path: Path) -> None:
    page = (ROOT / "docs/training.md").read_text(encoding="utf-8").splitlines()
    made = read_json(path, Figures)
    table = TABLES[made.table]
    for row in made.figures:
        cells = [row.row, f"{row.parameters / 1e6:.2f} M"]
        cells += [row.trained_on, row.tested_on] if table.crossed is not None else []
        cells += [cell(row.scores, metric) for metric in table.metrics]
        cells += ["-" if row.paper is None else f"{row.paper:.2f}"]
        assert f"| {' | '.join(cells)} |" in page


@pytest.mark.parametrize("path", under("benchmarks/results/speed", "*.json"), ids=name_of)
def test_every_speed_result_loads_and_is_whole(path: Path) -> None:
    assert read_result(path).complete


def test_the_readme_states_the_speeds_of_the_result_that_it_links_first() -> None:
    text = README.read_text(encoding="utf-8")
    linked = re.search(r"\[results\]\((benchmarks/results/speed/.+?\.json)\)", text)
    assert linked
    rows = [
        row
        for row in read_result(ROOT / linked[1]).rows
        if (row.precision, row.mode, row.scope) == ("int8", "bf16-rest", "camera_to_mask")
        and not row.is_folder
    ]
    assert {row.model for row in rows} == {c.name for c in shipped_models() if c.kind == "scnet"}
    for row in rows:
        fps = f"{row.fps:.0f}" if row.fps >= 10 else f"{row.fps:.1f}"
        faster = ", ".join(
            f"{row.speedup[other][0]:.1f}x" for other in ("torch fp32 eager", "onnxruntime fp32")
        )
        first_s = row.first_mask_ms["warm"] / 1e3
        stated = f"| {fps} | {faster} | {first_s:.1f} s | {row.rss_mb:.0f} MB |"
        assert any(f"`{row.model}`" in line and stated in line for line in text.splitlines())


def test_the_page_states_what_a_gpu_gave() -> None:
    result = read_result(ROOT / "benchmarks/results/speed/h100.json")
    assert result.suite_sha256 == suite_sha256(read_suite(ROOT / "benchmarks/gpu_brief.toml"))
    page = (ROOT / "docs/performance.md").read_text(encoding="utf-8").splitlines()
    whole = {row.case_key: row for row in result.rows if row.scope == "camera_to_mask"}
    stated = [line for line in page if re.match(r"\| `[a-z-]+` \| (torch|onnxruntime) ", line)]
    assert len(stated) == len(whole)
    for row in result.rows:
        if row.scope == "engine":
            fps = f"{row.fps:.0f} ({min(row.round_fps):.0f} to {max(row.round_fps):.0f})"
            ms = f"{row.latency_ms.p50:.1f} / {row.latency_ms.p95:.1f}"
            first = f"{row.f1:.4f} | {row.first_mask_ms['cold'] / 1e3:.1f} s"
            cells = f"{fps} | {ms} | {whole[row.case_key].fps:.0f} | {first} | {row.joules:.2f}"
            assert f"| `{row.model}` | {row.label} | {cells} |" in stated


def test_the_page_states_what_the_chain_reached() -> None:
    result = read_result(ROOT / "benchmarks/results/speed/epyc-avx512-2core.json")
    page = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    rows = {
        (row.mode, row.scope): row
        for row in result.rows
        if (row.model, row.precision, row.schedule) == ("scnet", "int8", "every")
    }
    modes = ("bf16-rest", "default")
    for other in ("torch fp32 eager", "onnxruntime fp32"):
        both = (f"{rows[mode, 'camera_to_mask'].speedup[other][0]:.1f}x" for mode in modes)
        assert " / ".join(both) in page
    limits = [rows[mode, "engine"].limit for mode in modes]
    assert " / ".join(f"{100 * limit.share:.0f} %" for limit in limits if limit) in page


def test_the_page_states_how_quick_the_edge_nets_are_in_turns() -> None:
    page = (ROOT / "docs/performance.md").read_text(encoding="utf-8").splitlines()
    path = ROOT / "benchmarks/results/turns-edge.json"
    for row in json.loads(path.read_text(encoding="utf-8"))["rows"]:
        low, high = row["quartiles"]
        name = row["bundle"].removesuffix(" int8")
        assert f"| `{name}` | {row['time_of_first']:.2f} ({low:.2f} to {high:.2f}) |" in page


def test_the_page_states_what_a_smaller_picture_costs() -> None:
    page = (ROOT / "docs/performance.md").read_text(encoding="utf-8").splitlines()
    results = ROOT / "benchmarks/results"
    for row in json.loads((results / "turns-sizes.json").read_text(encoding="utf-8"))["rows"]:
        size = "{}x{}".format(*row["size_hw"])
        deepcrack, *others = (
            read_json(results / f"sizes/{size}-on-{name}.json", Evaluation)
            for name in ("deepcrack", "crackforest", "masonry")
        )
        low, high = row["quartiles"]
        cells = [size, f"{row['time_of_first']:.2f} ({low:.2f} to {high:.2f})"]
        cells += [f"{s.shipped.f1:.4f}, {s.ods.f1:.4f}" for s in (deepcrack, *others)]
        cells += [f"{deepcrack.tolerance['2']:.4f}", f"{deepcrack.thin_recall:.3f}"]
        assert f"| {' | '.join(cells)} |" in page


@pytest.mark.parametrize("name", ["scnet-small", "scnet"])
def test_the_page_states_loop_and_schedule(name: str) -> None:
    folder = ROOT / "benchmarks/results/robot"
    page = (ROOT / "docs/robot.md").read_text(encoding="utf-8")
    loop = json.loads((folder / f"loop-{name}.json").read_text(encoding="utf-8"))
    here, elsewhere = loop["engine_on_this_machine"], loop["engine_elsewhere"]
    assert f"| {here['ratio']:.3f} of it" in page
    assert f"| {elsewhere['ratio']:.3f} |" in page
    if name == "scnet-small":
        fewer = loop["with_threads"]
        over = fewer["loop_over_default"]
        assert f"`threads = {fewer['threads']}` | {fewer['engine_fps']:.0f} FPS" in page
        assert f"| {fewer['ratio']:.3f} of it, {fewer['loop_fps']:.0f} FPS |" in page
        between = f"{over['lowest']:.2f} to {over['highest']:.2f}"
        assert f"has {over['median']:.2f} times the frames ({between}" in page
    schedule = json.loads((folder / f"schedule-{name}.json").read_text(encoding="utf-8"))
    columns = ("crack_recall", "pixel_recall", "pixel_precision")
    for row in schedule["rows"].values():
        cells = [*(f"{row[column]:.4f}" for column in columns), f"{row['time_of_full']:.3f}"]
        assert f"| {' | '.join(cells)} |" in page


@pytest.mark.parametrize(
    "path", sorted((ROOT / "benchmarks/results").glob("*-int8.json")), ids=name_of
)
def test_every_result_loads_and_the_readme_states_it(path: Path) -> None:
    result = read_json(path, Evaluation)
    assert f"{result.shipped.f1:.4f}" in README.read_text(encoding="utf-8")


@pytest.mark.parametrize("card", [c for c in shipped_models() if c.kind == "scnet"])
def test_the_readme_compares_every_model_with_others(card: Card) -> None:
    path = ROOT / f"benchmarks/results/accuracy/{card.name}-on-deepcrack.json"
    best = read_json(path, Evaluation).ods
    low, high = best.ci95
    stated = f"| {best.f1:.4f} [{low:.3f}, {high:.3f}] | us |"
    lines = README.read_text(encoding="utf-8").splitlines()
    assert any(f"`{card.name}`" in line and line.endswith(stated) for line in lines)


@pytest.mark.parametrize("path", under("benchmarks/results/accuracy", "*.json"), ids=name_of)
def test_every_accuracy_loads_and_the_page_states_it(path: Path) -> None:
    result = read_json(path, Evaluation)
    page = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    assert f"{result.ods.f1:.4f} [" in page
    assert f"{result.shipped.f1:.4f}" in page


def test_the_study_of_the_prior_is_what_the_page_states() -> None:
    study = read_json(ROOT / "benchmarks/results/prior-study.json", PriorStudy)
    page = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    seeds, costs = len(study.plan.seeds), {cost.name: cost for cost in study.costs}
    assert len(study.runs) == 3 * seeds
    assert f"{seeds} seeds, {study.plan.steps} steps of {study.plan.batch} crops" in page
    for prior in ("full", "light", "none"):
        runs = [run for run in study.runs if run.prior == prior]
        mean, shipped = (sum(getattr(r, key) for r in runs) / seeds for key in ("ods", "f1"))
        each = ", ".join(f"{run.ods:.3f}" for run in runs)
        cost = costs.get(f"{prior} HED")
        price = f"{cost.gmac:.2f} | {cost.parameters / 1e6:.2f} M" if cost else "0 | 0"
        assert f"| {prior} | {mean:.4f} | {each} | {shipped:.4f} | {price} |" in page
    for d in study.differences:
        signed = f"{d.ods:+.4f} [{d.ci95[0]:+.4f}, {d.ci95[1]:+.4f}]"
        assert f"| {d.prior} - {d.against} | {signed} |" in page
    assert f"{100 * study.light.same:.1f} % of the pixels" in page
    assert f"F1 {study.light.f1:.3f}" in page


@pytest.mark.parametrize("card", [c for c in shipped_models() if c.metrics], ids=lambda c: c.name)
def test_the_readme_states_what_the_cards_say(card: Card) -> None:
    assert card.metrics
    low, high = card.metrics.ci95
    assert f"{card.metrics.f1:.4f} [{low:.3f}, {high:.3f}]" in README.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(ROOT.glob("*.md")) + under("docs", "*.md"), ids=name_of)
def test_links_point_to_files(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) + re.findall(r'src="([^"]+)"', text)
    local = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in local if not (path.parent / link).exists()] == []


def readme_commands() -> list[str]:
    """Return the `scnet-edge ...` lines of the README's code blocks, continued lines joined."""
    text = README.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = re.findall(r"^```.*?\n(.*?)^```", text, re.M | re.S)
    return re.findall(r"^(?:\$ )?(scnet-edge [a-z].+)$", "\n".join(blocks), re.M)


@pytest.mark.parametrize("line", readme_commands())
def test_commands_of_the_readme_parse(line: str) -> None:
    _, *arguments = shlex.split(line, comments=True)
    group = typer.main.get_command(scnet_edge.cli.app)
    assert isinstance(group, typer.core.TyperGroup)
    with group.make_context("scnet-edge", arguments, resilient_parsing=True) as context:
        name, command, rest = group.resolve_command(context, arguments)
    assert command is not None, f"no command {name}"
    if "--help" not in rest:
        command.make_context(name, rest).close()  # an unknown option or a missing argument raises


def test_the_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"\bmake ([a-z]+)\b", README.read_text(encoding="utf-8")))
    assert targets <= set(re.findall(r"^([a-z]+):", makefile, re.M))


@pytest.mark.parametrize("script", ["scripts/check", ".ci/run"])
def test_scripts_are_executable_bash(script: str) -> None:
    assert (ROOT / script).stat().st_mode & 0o100
    assert subprocess.run(["bash", "-n", ROOT / script], timeout=60).returncode == 0
