"""The modes of a column of numbers (CTGAN's mode-specific normalisation)."""

from __future__ import annotations

import numpy as np


def fit_modes(values: np.ndarray, most: int, seed: int = 0) -> tuple[tuple[float, float, float], ...]:
    """The modes of one column's numbers (N,): weight, mean, standard deviation of each that weighs more than 0.005.

    A variational Gaussian mixture with at most `most` components, whose Dirichlet process prior of 0.001 leaves those
    that are not needed empty; fitted on at most 10,000 values drawn at random. Xu et al., 2019, arXiv:1907.00503, 4.2.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import BayesianGaussianMixture

    values = values[np.isfinite(values)]
    centre, scale = float(values.mean()), float(values.std()) or 1.0
    distinct = np.unique(values)
    if len(values) > 10_000:
        values = np.random.Generator(np.random.Philox(key=[seed, 12])).choice(values, 10_000, replace=False)
    if len(distinct) < 3 or len(values) < 3:
        return ((1.0, centre, scale),)
    mixture = BayesianGaussianMixture(
        n_components=min(most, len(values), len(distinct)),
        weight_concentration_prior_type="dirichlet_process",
        weight_concentration_prior=0.001,
        max_iter=100,
        n_init=1,
        random_state=seed,
    )
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(((values - centre) / scale)[:, None])
    weights, means, spread = mixture.weights_, mixture.means_[:, 0], np.sqrt(mixture.covariances_[:, 0, 0])
    kept = np.flatnonzero(weights > 0.005)
    kept = kept[np.argsort(means[kept], kind="stable")]
    # A spike (capital gains of 0) has almost no width: floored, so that 4 sigma is a number to divide by.
    found = [(weights[k], means[k] * scale + centre, max(spread[k] * scale, 1e-6 * scale)) for k in kept]
    total = sum(w for w, _, _ in found)
    return tuple((float(w / total), float(m), float(s)) for w, m, s in found)
