"""Networks and cases that a claim selects in a study, by the code that takes its verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from flatminima.claims.cases import cases_of, control_places, controls_of, places_of
from flatminima.claims.effects import asked_of
from flatminima.claims.findings import Case
from flatminima.claims.ledger import Claim, Criterion, Ledger
from flatminima.claims.networks import Networks, Place, networks_of, shape_column
from flatminima.errors import UserError
from flatminima.record import IDENTITY


@dataclass(frozen=True)
class Claimed:
    """The selection of every claim in one study; nothing is computed before it is asked for.

    Attributes:
        ledger: the claims.
        measures: the table of record of the study, whole: what a figure leaves out still decides verdicts.
    """

    ledger: Ledger
    measures: pd.DataFrame
    _cases: dict[str, list[Case]] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def all_networks(self) -> Networks:
        """The final networks by place, as verdicts take them."""
        return networks_of(self.measures)

    @property
    def columns(self) -> dict[str, str]:
        """Columns of `networks`, and their types."""
        shape = shape_column(self.measures)
        identity = {name: str(self.measures[name].dtype) for name in IDENTITY if name in self.measures}
        found = {"value": "float64", "dose": "float64", "diverged": "bool", "counted": "bool"}
        known = {"criterion": "int64", "as_control": "bool", "case": "str", "control": "str", shape: "int64"}
        return known | identity | found

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
            UserError: if the ledger has no claim of this id.
        """
        if name not in self._cases:
            self._cases[name] = cases_of(self.claim(name), self.all_networks)
        return self._cases[name]

    def controls(self, name: str, criterion: int) -> list[Case]:
        """The cases of one criterion, by its number in the claim, on its control.

        Raises:
            UserError: if the ledger has no claim of this id.
        """
        claim = self.claim(name)
        asked = claim.criteria[criterion]
        return controls_of(asked, claim.class_of(asked), self.all_networks)

    def networks(self, name: str, statistic: str) -> pd.DataFrame:
        """The networks that a claim asks about by its criteria on one statistic, and those of their controls.

        Args:
            name: id of the claim.
            statistic: that of the criteria.

        Returns:
            One row per criterion and network, columns `columns`: `criterion` is its number in the claim, `as_control`
            whether it is asked as a control, `value` as the criterion takes it (of the worst layer, a deviation, an
            excess over nulls), `dose` the statistic that a contrast orders a seed's networks by, `counted` whether its
            conditions take the network; a network that neither counts nor diverged was left out by them. The others are
            columns of the measures; setting is NaN where there is none. Without a network there are no rows.

        Raises:
            UserError: if the ledger has no claim of this id.
        """
        tables = [pd.DataFrame({column: pd.Series(dtype=kind) for column, kind in self.columns.items()})]
        for number, criterion in enumerate(self.claim(name).criteria):
            if criterion.statistic == statistic:
                own, elsewhere = places_of(criterion, self.all_networks), control_places(criterion, self.all_networks)
                tables += self._asked(number, criterion, own, as_control=False)
                tables += self._asked(number, criterion.on_control(), elsewhere, as_control=True)
        filled = [table for table in tables if not table.empty] or tables
        return pd.concat(filled, ignore_index=True)

    def counted(self, name: str, statistic: str) -> pd.DataFrame:
        """The networks that decide a claim by its criteria on one statistic: rows of `networks`, controls left out.

        Args:
            name: id of the claim.
            statistic: that of the criteria.

        Raises:
            UserError: if the ledger has no claim of this id.
        """
        rows = self.networks(name, statistic)
        return rows[rows["counted"] & ~rows["as_control"]]

    def _asked(
        self, number: int, criterion: Criterion, places: Sequence[Place], as_control: bool
    ) -> list[pd.DataFrame]:
        tables = []
        for place in places:
            rows = asked_of(criterion, place, self.all_networks).reset_index()
            rows = rows.assign(
                criterion=number,
                as_control=as_control,
                case=place.case,
                control=place.control,
                setting=rows["setting"].where(rows["setting"] > 0),
            )
            rows[shape_column(self.measures)] = place.shape
            tables.append(rows[[*self.columns]])
        return tables
