# SPDX-License-Identifier: MIT
"""What (epsilon, delta) alone says, of whatever noise: oracles for what `accounting` knows of Gaussian noise."""

from __future__ import annotations

import math

from fedlethe.privacy.accounting import log_phi


def exceeded(epsilon: float, mu: float) -> float:
    """How often the odds of two candidates at a distance of mu grow by more than e^epsilon: Phi(mu / 2 - epsilon / mu).

    Delta is not that: (epsilon, delta) bounds P(S) - e^epsilon P'(S) for every set S of outcomes by delta, which the
    odds may exceed in many more cases, each time by little: at epsilon 0.5 and delta 1e-5 in 29 times delta.
    """
    return 0.0 if mu == 0 else math.exp(log_phi(mu / 2 - epsilon / mu))


def guess_bound(epsilon: float, delta: float, candidates: int, listed: int = 1) -> float:
    """The most that (epsilon, delta) alone allows a list of t of K candidates, one of them true, each as likely.

    P_i(A) <= exp(epsilon) P_j(A) + delta for the event A that i is on the list and j is not; summed over all pairs this
    gives (t e^epsilon + (K - 1) delta) / (t e^epsilon + K - t). With m of K clients erased it also bounds how often one
    that is picked is erased, t = m: C(K - 1, m - 1) of the sets hold it and C(K - 1, m) do not, and their odds are
    m : K - m. Without delta it is attained: pick each client that is erased e^epsilon times as often as each that is
    not. Of Gaussian noise more is known: `top_guess` and `pick_guess` are smaller.
    """
    if epsilon == math.inf:
        return 1.0
    others = (candidates - listed) * math.exp(-epsilon)
    return min(1.0, (listed + (candidates - 1) * delta * math.exp(-epsilon)) / (listed + others))
