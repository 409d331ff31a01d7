"""The simplest fraction of an interval: what a rounded decimal most likely was."""

from fractions import Fraction


def simplest_within(low: Fraction, high: Fraction) -> Fraction:
    """Give the fraction with the smallest denominator from ``low`` to ``high``, both included.

    Parameters
    ----------
    low, high
        0 < low <= high.

    Source: the continued fraction of an interval, as in Stern and Brocot's tree.
    """
    terms: list[int] = []
    while True:
        whole = low.numerator // low.denominator
        if whole == low or whole + 1 <= high:
            terms.append(whole if whole == low else whole + 1)
            break
        terms.append(whole)
        low, high = 1 / (high - whole), 1 / (low - whole)
    simplest = Fraction(terms[-1])
    for term in reversed(terms[:-1]):
        simplest = term + 1 / simplest
    return simplest
