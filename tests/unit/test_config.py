"""config.yaml: every mistake is explained in one line."""

import json

import pytest
import yaml
from configured import RUN, TASK, changed, example, message

from flatminima.config import Config, load
from flatminima.errors import UserError
from flatminima.settings.base import unlabelled
from flatminima.settings.parsing import nearest, parse


def test_the_example_is_valid():
    config = parse(Config, example(), "config.yaml")
    assert config.studies["digits"].experiments["linear"].depths == [2, 3]
    assert json.loads(config.model_dump_json(exclude_unset=True)) == example()


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (
            "embeded",
            [],
            "embeded: unknown key; did you mean 'embedded'? allowed: data_root, device, embedded, paper, studies",
        ),
        (f"{RUN}.step_size", 1, f"{RUN}.step_size: unknown key; did you mean 'step_sizes'? allowed: "),
        (f"{TASK}.sigma", 1, f"{TASK}.sigma: unknown key; allowed: stated, derived, kind, noise, "),
        ("studies.digits.measure.product", 1, "studies.digits.measure.product: unknown key; did you mean 'products'?"),
        (
            "studies.digits.dataset.state",
            ["holdout"],
            "studies.digits.dataset.state: unknown key; did you mean 'stated'? allowed: stated, derived, name",
        ),
    ],
)
def test_unknown_keys_name_the_nearest(path, value, expected):
    assert message(changed(path, value)).startswith(expected)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("data_root", "data_root: missing key; add it (Config requires it)"),
        (f"{RUN}.seeds", f"{RUN}.seeds: missing key; add it (Experiment requires it)"),
        (f"{TASK}.loss", f"{TASK}.loss: missing key; add it (Task requires it)"),
    ],
)
def test_missing_keys_are_named(path, expected):
    assert message(changed(path, ...)).startswith(expected)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (f"{RUN}.family", "rellu", "is 'rellu': did you mean 'relu'? allowed: linear, residual_linear, relu"),
        (
            f"{RUN}.optimiser",
            "gradient_decent",
            "is 'gradient_decent': did you mean 'gradient_descent'? allowed: ",
        ),
        (f"{TASK}.pixels", "Unit", "is 'Unit': did you mean 'unit'? allowed: unit, raw"),
        ("studies.digits.dataset.name", "digit", "is 'digit': did you mean 'digits'? allowed: digits, patches, mnist"),
    ],
)
def test_a_wrong_choice_names_the_value_and_the_nearest(path, value, expected):
    assert message(changed(path, value)).startswith(f"{path} {expected}")


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (f"{RUN}.seeds", 0, "is 0: input should be greater than or equal to 1"),
        (f"{RUN}.seeds", "2", "is '2': input should be a valid integer"),
        (f"{RUN}.seeds", 2.0, "is 2.0: input should be a valid integer"),
        (f"{RUN}.bias", "no", "is 'no': input should be a valid boolean"),
        (f"{RUN}.step_sizes", [], "is []: list should have at least 1 item"),
        (f"{RUN}.step_sizes", [0.1, -0.1], ".1 is -0.1: input should be greater than 0"),
        (f"{RUN}.step_sizes", [float("inf")], ".0 is inf: input should be a finite number"),
        (f"{RUN}.depths", [65], ".0 is 65: input should be less than or equal to 64"),
        (f"{RUN}.tolerance", float("nan"), "is nan: input should be"),
        ("studies.digits.dataset.holdout", 1.0, "is 1.0: input should be less than 1"),
        (f"{TASK}.noise", 0.0, "is 0.0: input should be greater than 0"),
    ],
)
def test_a_value_out_of_range_is_shown(path, value, expected):
    text = message(changed(path, value))
    assert text.startswith(path)
    assert text.removeprefix(path).strip().startswith(expected)


@pytest.mark.parametrize(
    ("path", "written", "cure"),
    [
        (f"{RUN}.tolerance", "1e-3", "write 1.0e-3"),
        (f"{RUN}.tolerance", "1E5", "write 1.0e+5"),
        (f"{RUN}.tolerance", "-.5e3", "write -0.5e+3"),
        (f"{RUN}.tolerance", "1.e5", "write 1.e+5"),
        (f"{RUN}.tolerance", "'0.1'", "write 0.1"),
        (f"{RUN}.seeds", "1e1", "write 10"),
        (f"{RUN}.seeds", "'08'", "write 8"),
        (f"{RUN}.step_sizes.0", "[1e-3]", "write 1.0e-3"),
    ],
)
def test_a_number_that_yaml_reads_as_text_is_told_with_a_cure_that_it_reads_as_a_number(path, written, cure):
    text = message(changed(path.removesuffix(".0"), yaml.safe_load(written)))
    assert text.startswith(f"{path} is ")
    assert text.endswith(f"; YAML reads it as text: {cure}")
    number = yaml.safe_load(cure.removeprefix("write "))
    assert number == float(written.strip("[]'"))
    assert type(number) is (int if "seeds" in path else float)


@pytest.mark.parametrize(
    ("path", "written", "told"),
    [
        ("data_root", "~", "data_root is None: input should be a valid string; YAML reads ~, null and an empty value"),
        ("data_root", "off", "data_root is False: input should be a valid string; YAML reads yes, no, on and off as"),
        ("data_root", "2026-11-30", "data_root is datetime.date(2026, 11, 30): input should be a valid string; YAML "),
        ("data_root", "''", "data_root is '': string should have at least 1 character"),
        ("embedded", "[no]", "embedded.0 is False: input should be a valid string; YAML reads yes, no, on and off as"),
        ("embedded", "digits", "embedded is 'digits': input should be a valid list; write [digits]"),
        (f"{RUN}.depths", "3", f"{RUN}.depths is 3: input should be a valid list; write [3]"),
        (f"{RUN}.depths", "[true]", f"{RUN}.depths.0 is True: input should be a valid integer"),
        (f"{RUN}.depths", "[2.0]", f"{RUN}.depths.0 is 2.0: input should be a valid integer; write 2"),
        (f"{RUN}.bias", "'no'", f"{RUN}.bias is 'no': input should be a valid boolean; write true or "),
        (f"{RUN}.steps", "1" + "0" * 30, f"{RUN}.steps is 1{'0' * 30}: input should be less than or equal"),
        (f"{RUN}.tolerance", "null", f"{RUN}.tolerance is None: input should be a valid number"),
        ("studies", "{}", "studies is {}: dictionary should have at least 1 item"),
        ("studies.digits.experiments", "{}", "studies.digits.experiments is {}: dictionary should have at least 1 it"),
        ("studies.digits.experiments", "{no: {}}", "studies.digits.experiments.0 is False: input should be a valid st"),
        ("studies.digits.experiments", "{null: {}}", "studies.digits.experiments.None is None: input should be a val"),
        ("studies.digits.experiments", "{a/b: {}}", "studies.digits.experiments.a/b is 'a/b': string should match"),
        ("studies.digits.experiments", "{con: {}}", "studies.digits.experiments.con: 'con' names a device on Windows"),
        ("studies.digits.tasks", f"{{{'a' * 65}: {{}}}}", f"studies.digits.tasks.{'a' * 65} is str: string should hav"),
    ],
)
def test_what_yaml_reads_as_something_else_is_told(path, written, told):
    assert message(changed(path, yaml.safe_load(written))).startswith(told)


@pytest.mark.parametrize(
    ("path", "values", "told"),
    [
        (f"{RUN}.depths", [2, 3, 2], f"{RUN}.depths: 2 is given twice; give each value once"),
        (f"{RUN}.step_sizes", [0.1, 0.10], f"{RUN}.step_sizes: 0.1 is given twice; give each value once"),
        (f"{RUN}.step_sizes", [1, 0.5, 1.0], f"{RUN}.step_sizes: 1.0 is given twice; give each"),
        (f"{RUN}.step_sizes", [0.3, 0.3000001], f"{RUN}.step_sizes: 0.3 and 0.3000001 are both shown as 0"),
        ("embedded", ["digits", "digits"], "embedded: 'digits' is given twice; give each value once"),
        ("paper", ["digits", "digits"], "paper: 'digits' is given twice; give each value once"),
    ],
)
def test_a_value_given_twice_is_refused(path, values, told):
    assert message(changed(path, values)).startswith(told)


def test_a_study_may_not_lie_where_the_results_of_record_are():
    values = example()
    values["studies"]["reference"] = values["studies"]["digits"]
    assert message(values) == "studies.reference: results/reference holds the results of record: rename the study"


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (RUN, None, f"{RUN} is None: expected a mapping with the keys stated, derived, task, family, depths"),
        ("studies", [], "studies is []: input should be a valid dictionary"),
    ],
)
def test_a_bare_value_is_no_section(path, value, expected):
    assert message(changed(path, value)).startswith(expected)


def test_names_are_lower_case_words():
    text = message(
        changed("studies.digits.experiments", {"Linear-1": example()["studies"]["digits"]["experiments"]["linear"]})
    )
    assert "Linear-1" in text
    assert "pattern" in text


def test_long_values_are_not_printed():
    text = message(changed(f"{RUN}.seeds", list(range(1000))))
    assert text == f"{RUN}.seeds is list: input should be a valid integer"


def test_several_mistakes_are_counted_and_typos_come_first():
    values = changed(f"{RUN}.seeds", 0)
    values["studies"]["digits"]["experiments"]["linear"]["step"] = values["studies"]["digits"]["experiments"][
        "linear"
    ].pop("steps")
    text = message(values)
    assert text.startswith(f"{RUN}.step: unknown key; did you mean 'steps'?")
    assert text.endswith("(2 more)")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"family": "relu"}, "optimiser gradient_descent works on second moments: linear families only"),
        ({"bias": True}, "`bias` needs an optimiser on samples: sgd or adam"),
        ({"batch_size": 8}, "`batch_size` is required for sgd and adam, and only allowed there"),
        ({"optimiser": "sgd"}, "`batch_size` is required for sgd and adam, and only allowed there"),
        ({"optimiser": "gradient_flow"}, "`step_sizes` and `step_unit` are required for all optimisers but"),
        ({"step_unit": None}, "`step_sizes` and `step_unit` are required for all optimisers but gradient_flow"),
        (
            {"family": "residual_linear"},
            "initialisation identity (zero residuals) belongs to the family residual_linear",
        ),
        ({"initialisation": "identity"}, "initialisation identity (zero residuals) belongs to the family"),
        (
            {"family": "residual_linear", "initialisation": "identity", "width": 8},
            "residual_linear layers are square: leave `width` out",
        ),
        (
            {"optimiser": "gradient_flow", "step_unit": None, "step_sizes": None, "finish": 0.1},
            "`warmup` and `finish` are for optimisers with steps: leave them out of gradient_flow",
        ),
        (
            {"warmup": 0.7, "finish": 0.4},
            "`warmup` and `finish` are more than all steps together: make one smaller",
        ),
        ({"task": "noizy"}, "experiments.linear.task is 'noizy': did you mean 'noisy'? allowed: noisy"),
    ],
)
def test_settings_of_an_experiment_that_do_not_fit_together(changes, expected):
    values = example()
    values["studies"]["digits"]["experiments"]["linear"] |= changes
    text = message(values)
    key = "studies.digits" if "task" in changes else RUN
    assert text.startswith(f"{key}: {expected}")


@pytest.mark.parametrize(
    ("section", "changes", "expected"),
    [
        ("dataset", {"holdout": None}, "`holdout` is required for digits and patches, and only allowed there"),
        ("dataset", {"name": "mnist"}, "`holdout` is required for digits and patches, and only allowed there"),
        ("dataset", {"name": "patches"}, "`patches` is required for the data set patches, and only allowed there"),
        ("tasks.noisy", {"noise": None}, "`noise` and `noise_draw` are required for denoise, and only allowed there"),
        ("tasks.noisy", {"kind": "classify"}, "`noise` and `noise_draw` are required for denoise, and only allowed"),
        (
            "tasks.noisy",
            {"noise_draw": "fresh", "whiten": True},
            "`whiten` needs a fixed noise_draw: fresh noise leaves no fixed inputs to whiten",
        ),
    ],
)
def test_settings_of_data_and_tasks_that_do_not_fit_together(section, changes, expected):
    values = example()
    target = values["studies"]["digits"]
    for key in section.split("."):
        target = target[key]
    target |= changes
    assert message(values).startswith(f"studies.digits.{section}: {expected}")


def test_embedded_studies_exist():
    expected = "embedded names 'digit': did you mean 'digits'? allowed: digits"
    assert message(changed("embedded", ["digit"])) == expected


def test_a_missing_file_and_broken_yaml(tmp_path):
    with pytest.raises(UserError, match=r"^\S*gone\.yaml: no such file; .*name the file$"):
        load(tmp_path / "gone.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("studies: [\n")
    with pytest.raises(UserError, match=r"^\S*broken\.yaml: not valid YAML: [^\n]+$"):
        load(broken)
    broken.write_text("")
    with pytest.raises(UserError, match=r"^\S*broken\.yaml: is empty; expected [^\n]*$"):
        load(broken)


def test_yaml_cannot_run_code(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("studies: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(UserError, match="not valid YAML"):
        load(path)


def test_nearest_without_anything_near():
    assert nearest("xyz", ["linear", "relu"]) == "allowed: linear, relu"


@pytest.mark.parametrize(
    ("stated", "derived", "origin"), [([], [], "chosen"), (["seeds"], [], "stated"), ([], ["seeds"], "derived")]
)
def test_what_a_section_does_not_list_is_chosen(stated, derived, origin):
    values = changed(
        RUN, example()["studies"]["digits"]["experiments"]["linear"] | {"stated": stated, "derived": derived}
    )
    run = parse(Config, values, "config.yaml").studies["digits"].experiments["linear"]
    assert run.origin("seeds") == origin


@pytest.mark.parametrize(
    ("path", "names", "expected"),
    [
        (
            f"{TASK}.stated",
            ["noize"],
            f"{TASK}: `stated` names 'noize': did you mean 'noise'? allowed: noise, ",
        ),
        (
            f"{TASK}.stated",
            ["kind"],
            f"{TASK}: `stated` names 'kind': allowed: noise, noise_draw, pixels, centre",
        ),
        (
            f"{RUN}.derived",
            ["family"],
            f"{RUN}: `derived` names 'family': allowed: depths, width, bias, ",
        ),
        (
            f"{RUN}.stated",
            ["width"],
            f"{RUN}: `stated` names 'width', which has no value: give it one, or take the",
        ),
        (f"{RUN}.stated", ["bias"], f"{RUN}: 'bias' is both in `stated` and in `derived`: take it out of one of them"),
        (f"{RUN}.stated", ["seeds", "seeds"], f"{RUN}.stated: 'seeds' is given twice; give each value once"),
        (f"{RUN}.stated", "seeds", f"{RUN}.stated is 'seeds': input should be a valid list; write [seeds]"),
    ],
)
def test_a_list_of_sources_names_hyperparameters_that_are_given_once(path, names, expected):
    assert message(changed(path, names)).startswith(expected)


def test_what_results_depend_on_are_values_without_their_sources():
    values = example()
    study = values["studies"]["digits"]
    study["tasks"]["stated"] = study["tasks"]["noisy"]
    plain = unlabelled(values)["studies"]["digits"]
    assert set(plain["tasks"]) == {"noisy", "stated"}
    assert plain["tasks"]["stated"] == {key: value for key, value in study["tasks"]["noisy"].items() if key != "stated"}
    assert "derived" not in str(plain)
    assert plain["experiments"]["linear"] | {"derived": ["bias"]} == study["experiments"]["linear"]


def test_configurations_are_frozen():
    config = parse(Config, example(), "config.yaml")
    with pytest.raises(ValueError, match="frozen"):
        config.data_root = "elsewhere"
