"""speed checks: was a measurement alone on the machine?"""

ALONE = 0.05  # share of the processors' time that others may use meanwhile


def company(share: float | None) -> str | None:
    """In words, that others used so much beside a measurement; None if it was alone."""
    if share is None or share <= ALONE:
        return None
    return f"not alone on the machine: others used {share:.0%} of the processors' time"
