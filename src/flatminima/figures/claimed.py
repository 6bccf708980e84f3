"""What the ledger selects in a study: the networks and cases of a claim, by the code that takes its verdict."""

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from flatminima.claims.cases import Case, cases_of, controls_of, on_control, places_of
from flatminima.claims.effects import Shapes, asked_of, shapes_of
from flatminima.claims.ledger import Claim, Criterion, Ledger
from flatminima.errors import UserError

COLUMNS = {
    "criterion": "int64",
    "control": "bool",
    "experiment": "str",
    "depth": "int64",
    "step_fraction": "float64",
    "seed": "int64",
    "task": "str",
    "initialisation": "str",
    "value": "float64",
    "dose": "float64",
    "diverged": "bool",
    "counted": "bool",
}
"""Columns of `Claimed.networks`, and their types."""


@dataclass(frozen=True)
class Claimed:
    """The selection of every claim in one study; nothing is computed before it is asked for.

    Attributes:
        ledger: the claims.
        measures: the long table measures.parquet of the study, whole: what a figure leaves out still decides verdicts.
    """

    ledger: Ledger
    measures: pd.DataFrame

    @cached_property
    def shapes(self) -> Shapes:
        """The final networks by experiment and depth, as verdicts take them."""
        return shapes_of(self.measures)

    def claim(self, name: str) -> Claim:
        """The claim of an id such as M2.

        Raises:
            UserError: if the ledger has none.
        """
        for claim in self.ledger.claims:
            if claim.id == name:
                return claim
        raise UserError(f"claim {name}: not in the ledger, and a figure shows it; put it back in workflow/claims.yaml")

    def cases(self, name: str) -> list[Case]:
        """The cases of a claim, with the finding of each criterion: effect, interval, units, networks left out.

        Raises:
            UserError: if the ledger has no such claim.
        """
        return cases_of(self.claim(name), self.shapes)

    def controls(self, name: str, criterion: int) -> list[Case]:
        """The cases of one criterion, by its number in the claim, on its control.

        Raises:
            UserError: if the ledger has no such claim.
        """
        return controls_of(criterion, self.claim(name), self.shapes)

    def networks(self, name: str, statistic: str) -> pd.DataFrame:
        """The networks that a claim asks about by its criteria on one statistic, and those of their controls.

        Args:
            name: id of the claim.
            statistic: that of the criteria.

        Returns:
            One row per criterion and network, columns COLUMNS: `criterion` is its number in the claim, `control`
            whether it is asked as a control, `value` as the criterion takes it (of the worst layer, a deviation, an
            excess over nulls), `dose` the statistic that a contrast orders a seed's networks by,
            `counted` whether its conditions take the network; a network that neither counts nor
            diverged was left out by them. step_fraction is NaN where no steps were taken, as in the measures. Without a
            network there are no rows.

        Raises:
            UserError: if the ledger has no such claim.
        """
        tables = [pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in COLUMNS.items()})]
        for number, criterion in enumerate(self.claim(name).criteria):
            if criterion.statistic == statistic:
                tables += self._asked(number, criterion, control=False)
                if criterion.control is not None:
                    elsewhere = on_control(criterion, criterion.control, self.shapes)
                    tables += self._asked(number, elsewhere, control=True)
        filled = [table for table in tables if not table.empty] or tables
        return pd.concat(filled, ignore_index=True)

    def counted(self, name: str, statistic: str) -> pd.DataFrame:
        """The networks that decide a claim by its criteria on one statistic: rows of `networks`, controls left out.

        Args:
            name: id of the claim.
            statistic: that of the criteria.

        Raises:
            UserError: if the ledger has no such claim.
        """
        rows = self.networks(name, statistic)
        return rows[rows["counted"] & ~rows["control"]]

    def _asked(self, number: int, criterion: Criterion, control: bool) -> list[pd.DataFrame]:
        tables = []
        for experiment, depth in places_of(criterion, self.shapes):
            rows = asked_of(criterion, experiment, depth, self.shapes).reset_index()
            steps = rows["step_fraction"].where(rows["step_fraction"] > 0)
            rows = rows.assign(
                criterion=number, control=control, experiment=experiment, depth=depth, step_fraction=steps
            )
            tables.append(rows[[*COLUMNS]])
        return tables
