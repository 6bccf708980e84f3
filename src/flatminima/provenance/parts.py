"""Numbered parts of one result in one word: the length of a command is limited, the number of files is not."""

import re

NUMBERS = re.compile(r"\{0\.\.(\d{1,6})\}")


def numbered(name: str) -> list[str]:
    """The names that one stands for, in the notation of bash: `relu-part{0..2}.parquet` for three; else itself."""
    found = NUMBERS.search(name)
    return [NUMBERS.sub(str(number), name) for number in range(int(found[1]) + 1)] if found else [name]
