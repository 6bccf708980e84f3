"""A rescaling study plans what it shows, and nothing else."""

CURVES = {"volume", "spectrum", "balls", "coordinates", "landscape"}


def test_a_rescaling_study_without_its_optional_parts(project):
    study = "studies", "rescaling"
    project.configure(*study, "convolutional", value=None)
    project.configure(*study, "source", "linear", value=None)
    project.configure(*study, "demonstrations", "shown", value=["two_layers"])
    planned = project.planned("rescaling")
    rules = {rule for rule, _ in planned}
    assert not rules & {"convolve", "linear_orbit", "volume"}
    assert {"rescale", "orbit", "claims", "report", "manifest"} <= rules
    assert {wildcards for rule, wildcards in planned if rule in ("rescale", "orbit")} == {
        f"study=rescaling, shape=depth{depth}" for depth in (2, 3)
    }
    drawn = {wildcards for rule, wildcards in planned if rule == "figure"}
    assert drawn == {f"study=rescaling, name={name}" for name in ("alpha", "orbits")}


def test_a_figure_is_planned_where_its_demonstration_is_shown(project):
    project.configure("studies", "rescaling", "demonstrations", "shown", value=["balls", "volume"])
    drawn = {wildcards.rpartition("=")[2] for rule, wildcards in project.planned("rescaling") if rule == "figure"}
    assert drawn & CURVES == {"balls", "volume"}
    assert not drawn & {"alpha", "rescaling-overview"}
