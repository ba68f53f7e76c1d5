"""What votes tell."""

from math import sqrt

from backend.contracts import VoteShare

Z_95 = 1.959963984540054
"""Quantile 0.975 of the standard normal distribution."""


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % score interval of a share; (0, 1) without trials.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22
    (1927), 209-212. It takes the trials for independent of each other.
    """
    if not trials:
        return 0.0, 1.0
    share, z2 = successes / trials, Z_95**2
    centre = share + z2 / (2 * trials)
    half = Z_95 * sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    whole = 1 + z2 / trials
    low = 0.0 if successes == 0 else (centre - half) / whole
    high = 1.0 if successes == trials else (centre + half) / whole
    return low, high


def shares(counts: dict[int, int], variants: tuple[int, ...]) -> tuple[VoteShare, ...]:
    """Of each variant among all votes on `variants`."""
    trials = sum(counts.get(variant, 0) for variant in variants)
    found = []
    for variant in variants:
        votes = counts.get(variant, 0)
        low, high = wilson(votes, trials)
        share = votes / trials if trials else 0.0
        found.append(VoteShare(variant=variant, votes=votes, share=share, low=low, high=high))
    return tuple(found)
