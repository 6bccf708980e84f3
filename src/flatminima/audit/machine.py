"""Whether results were made by the software and hardware of this machine."""

from flatminima.provenance.environment import INSTRUCTIONS, environment, packages
from flatminima.provenance.manifest import Manifest, Rejudged


def same_machine(made: Manifest | Rejudged) -> bool:
    """Whether this is the software and hardware of the manifest, so that bytes must be equal.

    Manifests of earlier code say nothing of some packages, and of the processor's instructions: these count as equal.
    """
    recorded = made.packages if isinstance(made, Manifest) else {}
    unsaid = {INSTRUCTIONS} - made.environment.keys()
    here = {name: text for name, text in environment().items() if name not in unsaid}
    return made.environment == here and recorded.items() <= packages().items()
