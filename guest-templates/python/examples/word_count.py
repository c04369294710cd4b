"""Uses the standard library; the result is an object."""

import re
from collections import Counter


def word_count(text: str, most: int = 3) -> dict[str, int]:
    """Counts the most frequent words of a text."""
    words = re.findall(r"[a-z']+", text.lower())
    return dict(Counter(words).most_common(most))
