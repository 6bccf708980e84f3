"""The words of verdicts and classes, wherever a reader meets them: report, README, terminal."""

from flatminima.claims.ledger import Class
from flatminima.claims.results import Verdict

SYMBOLS = {
    Verdict.REPRODUCED: "✓",
    Verdict.PARTIAL: "◐",
    Verdict.NOT_REPRODUCED: "✗",
    Verdict.REFUTED: "⊘",
    Verdict.CONFIRMED: "✓",
    Verdict.REFUTED_AS_PREDICTED: "⊘",
    Verdict.NOT_CONFIRMED: "✗",
    Verdict.CHECKED: "∎",
    Verdict.VIOLATED: "✗",
    Verdict.BY_SYMMETRY: "≡",
    Verdict.INCONCLUSIVE: "?",
}
MEANINGS = {
    Verdict.REPRODUCED: "Every case that could be tested holds: the 95 % interval of its effect lies within what the "
    "claim asks.",
    Verdict.PARTIAL: "Some cases hold and others do not, and more hold than chance would let.",
    Verdict.NOT_REPRODUCED: "No case holds, or no more than chance would let.",
    Verdict.REFUTED: "The claim speaks of all cases, and in at least one the interval lies wholly outside what it "
    "asks: a counterexample.",
    Verdict.CONFIRMED: "What we predicted came true in every case that could be tested.",
    Verdict.REFUTED_AS_PREDICTED: "We predicted that the statement is false, and a counterexample says so.",
    Verdict.NOT_CONFIRMED: "What we predicted did not come true.",
    Verdict.CHECKED: "A theorem: it is proved, and what we computed meets it in every instance.",
    Verdict.VIOLATED: "A theorem is not met in some instance: its proof or our implementation is wrong.",
    Verdict.BY_SYMMETRY: "It holds on these data by construction, whatever is run: shown, and never counted.",
    Verdict.INCONCLUSIVE: "The measurements cannot decide: a control does not fail as it must, half of the cases or "
    "more could not be tested, or the predicate errs too often on planted populations.",
}
CLASSES = {
    Class.MEASURED: "Claims of the papers, measured",
    Class.PREDICTION: "Predictions of ours",
    Class.THEOREM: "Theorems, checked",
    Class.SYMMETRY: "By symmetry",
}
"""Claims of each class have tables of verdicts of their own, under these headings and in this order."""
