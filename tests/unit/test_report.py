"""The page of a study: complete, self-contained, safe, readable by everyone, and the same bytes every time."""

import base64
import os
import platform
import re
import sys
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from subprocess import run

import pandas as pd
import pytest
from docutils.core import publish_parts
from jinja2 import Template
from markupsafe import Markup
from report_pages import (
    CLAIMS,
    REPOSITORY,
    STUDIES,
    SVG,
    TABLE,
    Page,
    build,
    case,
    characteristics,
    claim,
    control,
    criterion,
    finding,
    measures,
    save_claims,
)

from flatminima.claims.ledger import Class
from flatminima.claims.results import Verdict
from flatminima.errors import UserError
from flatminima.figures import render, tables
from flatminima.figures.training import sensitivity
from flatminima.provenance.environment import environment
from flatminima.report import formats, page
from flatminima.report.captions import FIGURES, TABLES, figure_caption, table_caption
from flatminima.report.vocabulary import CLASSES, MEANINGS, SYMBOLS


@pytest.fixture
def results(tmp_path) -> Path:
    """The files of the study `digits` that a page is made from."""
    (tmp_path / "figures").mkdir()
    (tmp_path / "tables").mkdir()
    for name in ("sharpness-noisy", "training", "dose-response", "path-cosine", "phase-portrait"):
        (tmp_path / f"figures/{name}.svg").write_text(SVG)
        (tmp_path / f"figures/{name}.csv").write_text("x\n1\n")
        (tmp_path / f"figures/{name}.pdf").write_bytes(b"%PDF-")
    (tmp_path / "tables/sharpness.html").write_text(TABLE)
    (tmp_path / "tables/sharpness.csv").write_text("depth,ratio\n")
    measures(STUDIES["digits"]).to_parquet(tmp_path / "measures.parquet")
    save_claims(tmp_path, CLAIMS)
    return tmp_path


def sourced(node: dict, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], object, str]]:
    """Every hyperparameter in a dumped configuration: path, value, source."""
    if set(node) == {"value", "source"}:
        return [(path, node["value"], node["source"])]
    found = []
    for key, item in node.items():
        entries = item if isinstance(item, list) else [item]
        for number, entry in enumerate(entries, 1):
            if isinstance(entry, dict):
                found += sourced(entry, (*path, key, *([str(number)] if isinstance(item, list) else [])))
    return found


def shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {shown(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(shown(item) for item in value)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("study", STUDIES)
def test_every_hyperparameter_is_shown_with_its_source(results, study):
    measures(STUDIES[study]).to_parquet(results / "measures.parquet")
    shown_tables = [table for table in Page(build(results, study)).tables if table[0][0] == "Hyperparameter"]
    sections = [name for name, part in STUDIES[study] if name not in ("kind", "title") and part is not None]
    hyperparameters = sourced(STUDIES[study].model_dump())
    conditions = [
        ((*path, key), v, s)
        for path, value, s in hyperparameters
        if path[-1] == "conditions"
        for key, v in value.items()
    ]
    hyperparameters = [found for found in hyperparameters if found[0][-1] != "conditions"] + conditions
    assert len(hyperparameters) > 15
    for (section, *path), value, source in hyperparameters:
        header, *rows = shown_tables[sections.index(section)]
        column = header.index("value") if "value" in header else header.index(path.pop(0))
        cells = {row[0].split()[0]: row[column].split() for row in rows}
        assert cells[".".join(path) or section] == [*shown(value).split(), source]


def test_page_needs_nothing_from_the_network_or_scripts(results):
    text = build(results)
    built = Page(text)
    for _, attributes in built.tags:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            assert not re.match(r"(?i)\s*(https?:)?//", attributes.get(name) or "")
        assert not any(name.startswith("on") for name in attributes)
    assert not re.search(r"(?i)url\(|@import", text)
    assert not built.all("script") and not built.all("link") and not built.all("iframe")
    policies = [meta["content"] for meta in built.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_environment_names_versions_and_hardware(results):
    rows = dict(Page(build(results)).tables[-1])
    assert rows["Python"] == platform.python_version()
    for package in ("torch", "numpy", "scipy", "pandas", "snakemake"):
        assert rows[package] == version(package)
    assert rows["Logical processors"] == str(os.cpu_count())
    assert rows["Operating system"].endswith(platform.machine())
    assert rows["Processor"]


def test_environment_without_an_os_release_file(monkeypatch):
    def absent():
        raise OSError

    monkeypatch.setattr(platform, "freedesktop_os_release", absent)
    assert environment()["Operating system"].startswith(platform.system())


def test_caption_of_a_table_is_kept_or_added(results):
    (results / "tables/sharpness.html").write_text(TABLE.replace("<thead", "<caption>Own words</caption><thead"))
    (results / "tables/residual-gains.html").write_text(TABLE)
    text = build(results)
    assert (
        text.count("<caption>Own words</caption>")
        == text.count('<caption class="hidden">Residual gains</caption>')
        == 1
    )
    assert text.count("2 rows") == 2


def test_figures_are_embedded_once_with_alternative_text(results):
    images = Page(build(results)).all("img")
    assert len(images) == 5
    for image in images:
        kind, _, data = image["src"].partition(",")
        assert kind == "data:image/svg+xml;base64"
        assert base64.b64decode(data).decode() == SVG
        assert len(image["alt"]) > 20


def test_links_lead_to_files_and_to_places_in_the_page(results):
    built = Page(build(results))
    targets = [attributes["href"] for attributes in built.all("a")]
    places = {attributes["id"] for _, attributes in built.tags if "id" in attributes}
    assert {"../figures/sharpness-noisy.csv", "../figures/dose-response.pdf", "../tables/sharpness.csv"} <= set(targets)
    targets.remove("../manifest.json")  # which lists the page, so it is written after it
    for target in targets:
        assert target[1:] in places if target.startswith("#") else (results / "report" / target).exists()


def test_labels_lead_to_elements(results):
    built = Page(build(results))
    identities = [attributes["id"] for _, attributes in built.tags if "id" in attributes]
    assert len(identities) == len(set(identities))
    assert {a["aria-labelledby"] for _, a in built.tags if "aria-labelledby" in a} <= set(identities)


def test_headings_descend_one_level_at_a_time_and_tables_have_captions(results):
    built = Page(build(results))
    levels = [int(tag[1]) for tag, _ in built.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert len(built.all("caption")) == len(built.all("table"))
    assert not built.open


def test_summary_counts_networks_by_how_they_ended(results):
    experiments = len(STUDIES["digits"].experiments)
    text = " ".join(Page(build(results)).text.split())
    assert f"{3 * experiments} networks were trained in {experiments} experiments; 1 of them diverged" in text
    assert "2 controls were made from them" in text
    tally = "1 reproduced, 1 partial, 1 refuted, 1 confirmed, 1 checked, 1 inconclusive"
    assert f"Verdicts on 6 claims: {tally}." in text


def cells(results) -> list[list[list[str]]]:
    """Tables of cases without their headings: for each claim its own, then those of its controls."""
    tables = Page(build(results)).tables
    return [[[cell.strip() for cell in row] for row in t[1:]] for t in tables if t[0][:2] == ["Case", "Depth"]]


def test_classes_of_claims_have_tables_of_verdicts_of_their_own(results):
    tables = [table[1:] for table in Page(build(results)).tables if table[0] == ["Id", "Claim", "Verdict", "Reason"]]
    assert [[row[0] for row in table] for table in tables] == [["M1", "M2", "M3", "M5"], ["I6"], ["I2"]]
    words = [[row[2] for row in table] for table in tables]
    assert words[0] == ["✓ REPRODUCED", "◐ PARTIAL", "⊘ REFUTED", "? INCONCLUSIVE"]
    assert words[1:] == [["✓ CONFIRMED"], ["∎ CHECKED"]]
    assert tables[0][1][1] == "Flattest minima are nearly balanced"
    assert tables[0][1][3] == (
        "1 of 2 cases hold; 1 case could not be tested (no network met the conditions)"
        " Caveat: Whether the paper assumes white inputs is unknown."
    )


def test_every_verdict_has_a_symbol_a_meaning_and_a_colour(results):
    style = (REPOSITORY / "src/flatminima/report/templates/style.css").read_text()
    assert set(SYMBOLS) == set(MEANINGS) == set(Verdict)
    assert set(CLASSES) == set(Class)
    assert all(f".{verdict.lower().replace(' ', '-')}" in style for verdict in Verdict)
    text = build(results)
    assert all(meaning in text for meaning in map(str, map(Markup.escape, MEANINGS.values())))


def test_a_case_shows_effect_interval_and_units_beside_those_left_out(results):
    save_claims(results, [CLAIMS[1]])
    decided, curve, symmetric, control = cells(results)
    assert decided == [
        ["flow", "3", "0.5", "✓ holds 1 [1, 1.007]", "8", "2", "1"],
        ["flow", "4", "–", "✗ fails −0.25 [−0.5, 0]", "8", "2", "1"],
        ["flow", "5", "–", "? untested –", "0", "2", "1"],
    ]
    assert curve == [["flow", "3", "0.1", "✓ holds 1 [1, 1.007]", "8", "2", "1"]]
    assert symmetric == [["residual", "3", "✓ holds 1 [1, 1.007]", "8", "2", "1"]]
    assert control == [["default", "3", "✗ fails 14.2 [13.1, 15.3]", "8", "2", "1"]]


def test_cases_that_do_not_count_are_folded_and_untested_ones_told_apart(results):
    save_claims(results, [CLAIMS[1]])
    built = Page(build(results))
    folds = [attributes for attributes in built.all("details") if attributes.get("class") == "cases-group"]
    assert ["open" in fold for fold in folds] == [True, False, False]
    text = " ".join(built.text.split())
    for words in (
        "Cases that decide: 1 of 3 cases hold, 1 fails, 1 untested",
        "Other steps, shown and not counted: 1 of 1 case holds",
        "By symmetry, shown and not counted: 1 of 1 case holds",
    ):
        assert words in text


def test_long_tables_of_cases_are_folded_unless_a_case_does_not_hold(results):
    many = [case(shape=depth) for depth in range(1, 10)]
    tables = (many, [*many[:-1], case("flow", 9, None)], many[:8])
    save_claims(results, [claim(f"M{k}", cases=cases) for k, cases in enumerate(tables)])
    folds = [a for a in Page(build(results)).all("details") if a.get("class") == "cases-group"]
    assert ["open" in fold for fold in folds] == [False, True, True]


def test_each_criterion_has_a_column_and_cases_may_lack_it(results):
    both = [criterion("first"), criterion("second", share=True, control=None)]
    shared = finding(1, units=5, effect=1.0, low=0.4782, high=1.0, worst=0.97)
    save_claims(results, [claim(criteria=both, cases=[case("flow", 2, True, finding(), shared), case()])])
    rows = cells(results)[0]
    assert rows[0][2:] == [
        "✓ holds 1 [1, 1.007]",
        "✓ holds 100\xa0% [47.8\xa0%, 100\xa0%] worst 0.97",
        "8, 5",
        "2",
        "1",
    ]
    assert rows[1][2:4] == ["✓ holds 1 [1, 1.007]", "–"]


def test_every_criterion_says_what_it_asks_and_what_its_control_does(results):
    save_claims(results, [claim(criteria=[criterion(), criterion("goes round", control=control(broken="no control"))])])
    text = " ".join(Page(build(results)).text.split())
    assert text.count("The control fails, as it must.") == 1
    assert text.count("This proves nothing: no control.") == 1
    assert text.count("Asked95 % interval of the mean over seeds or instances at most 1.01") == 2
    assert text.count("Of networksexcess_loss at most 0.001") == 2
    assert text.count("Condition: sharpness_ratio at least 1.1.") == 2


def test_size_and_power_are_printed_with_intervals(results):
    text = " ".join(Page(build(results)).text.split())
    told = (
        "of 1,000 planted populations without the property it accepts 3.2 % [2.2 %, 4.5 %] (by the criterion “ends at "
        "the least sharpness”), of 1,000 at the smallest effect worth naming 97.1 % [95.9 %, 98 %]."
    )
    assert text.count(told) == 5
    assert "so it decides nothing" not in text
    save_claims(results, [claim(characteristics=characteristics(sound=False))])
    assert "At most 5 % and at least 80 % are asked, so it decides nothing." in " ".join(
        Page(build(results)).text.split()
    )


def test_changes_of_predicates_are_shown_for_the_claims_of_the_page(results):
    text = " ".join(Page(build(results)).text.split())
    assert "2026-11-22 13:26 96b293b" in text
    save_claims(results, [claim("Z9")])
    assert "No change on record concerns these claims." in build(results)


def test_claims_share_figures(results):
    text = " ".join(Page(build(results)).text.split())
    last = text[text.index("M5 Networks trained in practice", text.index("Claims and evidence")) :]
    assert "See also figure 1." in last
    assert "Further figures Figure 5. Phase portrait." in last


def test_overview_comes_first_and_once(results):
    (results / "figures/overview.svg").write_text(SVG)
    save_claims(results, [claim(figures=["overview", "training"])])
    built = Page(build(results))
    text = " ".join(built.text.split())
    assert text.index(f"Figure 1. {FIGURES['overview'].title}.") < text.index("Claims and evidence")
    assert "See also figure 1." in text
    assert len(built.all("img")) == 6


def test_values_that_do_not_exist_are_dashes(results):
    lone = finding(holds=None, units=1, effect=0.5, low=None, high=None, diverged=0, excluded=0)
    save_claims(results, [claim(decisive=None, characteristics=None, cases=[case("flow", 3, None, lone)])])
    assert cells(results)[0] == [["flow", "3", "? untested 0.5", "1", "0", "0"]]


def test_hostile_text_is_shown_not_run(results):
    hostile = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'{{ 7 * 7 }}"
    words = dict.fromkeys(("paper", "title", "statement", "scope", "reason", "caveat"), hostile)
    save_claims(results, [claim(figures=[hostile], **words)])
    built = Page(build(results))
    assert not built.all("script")
    assert len(built.all("img")) == 5
    assert built.text.count(hostile) == 9


def test_same_inputs_give_the_same_bytes(results):
    first = build(results)
    (results / "report/index.html").unlink()
    assert build(results) == first
    assert not list((results / "report").glob(".*"))


@pytest.mark.parametrize("name", ["claims.json", "measures.parquet"])
def test_missing_input_is_one_line_that_names_it(results, name):
    (results / name).unlink()
    with pytest.raises(UserError, match=rf"{name}: no such file; run `make reproduce`") as error:
        build(results)
    assert "\n" not in str(error.value)


def test_malformed_inputs_are_named(results):
    (results / "claims.json").write_text('{"study": "digits", "claims": [{}]}')
    with pytest.raises(UserError, match=r"claims\.json: claims\.0\.id: missing key"):
        build(results)
    (results / "claims.json").write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        build(results)
    save_claims(results, CLAIMS)
    pd.DataFrame({"case": ["residual"]}).to_parquet(results / "measures.parquet")
    with pytest.raises(UserError, match="not a table of measures"):
        build(results)


def test_missing_figure_is_named(results):
    with pytest.raises(UserError, match=r"gone\.svg: no such file"):
        page.write_report(
            "digits",
            STUDIES["digits"],
            results / "claims.json",
            REPOSITORY / "workflow/predicates.yaml",
            [results / "gone.svg"],
            [],
            results / "index.html",
        )
    assert not (results / "index.html").exists()


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (float("nan"), "–"), (1.00212, "1.002"), (-0.5, "−0.5"), (1.234567e-9, "1.235e−09")],
)
def test_numbers(value, text):
    assert formats.number(value) == text


@pytest.mark.parametrize(("share", "text"), [(1.0, "100\xa0%"), (0.9, "90\xa0%"), (0.996, "99.6\xa0%"), (None, "–")])
def test_shares(share, text):
    assert formats.percent(share) == text


def test_captions_are_found_by_prefix_or_made_from_the_name():
    assert figure_caption("training") is FIGURES["training"]
    assert figure_caption("sharpness-noisy").title == f"{FIGURES['sharpness'].title}: noisy"
    assert figure_caption("sharpness-noisy").text == FIGURES["sharpness"].text
    assert figure_caption("path-cosine") is FIGURES["path-cosine"]
    assert figure_caption("phase-portrait").title == "Phase portrait"
    assert table_caption("residual_gains").title == "Residual gains"


def test_every_figure_and_table_has_a_caption():
    assert set(FIGURES) == set(render.FIGURES)
    assert set(TABLES) == {*tables.TABLES, sensitivity.NAME}
    assert all(len(caption.text) > 40 and len(caption.alternative) > 40 for caption in FIGURES.values())


def workflow_caption(file: str, name: str) -> str:
    """A caption as `snakemake --report` fills it in, checked to be valid reStructuredText."""
    template = (REPOSITORY / "workflow/report" / file).read_text()
    text = Template(template).render(snakemake={"wildcards": {"name": name, "study": "digits"}})
    publish_parts(text, writer="html", settings_overrides={"halt_level": 2})
    return text


@pytest.mark.parametrize("name", FIGURES)
def test_the_workflow_report_has_the_same_figure_captions(name):
    for figure in (name, f"{name}-noisy"):
        assert workflow_caption("figure.rst", figure).split() == figure_caption(figure).text.split()


@pytest.mark.parametrize("name", TABLES)
def test_the_workflow_report_has_the_same_table_captions(name):
    assert workflow_caption("table.rst", name).split() == table_caption(name).text.split()


def test_the_workflow_report_describes_itself_and_the_page():
    assert "Mulayoff and Michaeli" in workflow_caption("workflow.rst", "")
    assert "study digits" in workflow_caption("report.rst", "")


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb, as WCAG 2 defines it."""
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_contrast_meets_wcag_aa(results, scheme):
    palettes = re.findall(r":root \{([^}]*)\}", build(results))
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", palettes[("light", "dark").index(scheme)]))
    pairs = [(name, "page") for name in ("text", "muted", "accent", "good", "part", "bad", "open")]
    pairs += [(name, f"{name}-fill") for name in ("good", "part", "bad", "open")] + [("accent", "open-fill")]
    for text, background in pairs:
        light, dark = sorted((luminance(colours[text]), luminance(colours[background])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, background)


def test_torch_is_never_imported():
    code = "import sys, flatminima.report.page, flatminima.report.scoreboard; sys.exit('torch' in sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0
