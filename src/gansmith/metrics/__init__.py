"""Metrics as pure functions: features in, numbers with their settings out.

Features are float tensors (N, d), one row a sample, from whatever encoder the caller chose; the metric's published name
(FID, KID, CMMD, PPL) holds only on the encoder its paper used. Every random draw takes a seed, every result carries the
settings it depends on, and nothing here reads a file or knows a network.
"""

from .classifier import area_under_curve, class_accuracy, classifier_two_sample, gan_test, gan_train, per_class
from .clusters import Clusters, fit_clusters
from .diversity import duplicate_rate, mean_pairwise_distance, path_length, support_size, vendi_score
from .frechet import Moments, Reference, frechet_distance, frechet_infinity
from .inception import inception_score
from .kernel import cmmd, gaussian_mmd, kernel_distance
from .labels import agreement
from .manifold import density_coverage, expected_coverage, prdc, precision_recall
from .memorization import (
    authenticity,
    closest_pairs,
    data_copying,
    membership_attack,
    nearest_training,
    one_nearest_neighbour,
)
from .modes import compare_bins, different_bins, high_quality_ceiling, label_coverage, mode_counts, mode_coverage
from .neighbours import nearest
from .sliced import laplacian_patch_distance, sliced_wasserstein
from .ssim import ms_ssim, ms_ssim_of_pairs
from .tables import closest_records, column_shapes, efficacy, pair_trends

__all__ = [
    "Clusters",
    "Moments",
    "Reference",
    "agreement",
    "area_under_curve",
    "authenticity",
    "class_accuracy",
    "classifier_two_sample",
    "closest_pairs",
    "closest_records",
    "cmmd",
    "column_shapes",
    "compare_bins",
    "data_copying",
    "density_coverage",
    "different_bins",
    "duplicate_rate",
    "efficacy",
    "expected_coverage",
    "fit_clusters",
    "frechet_distance",
    "frechet_infinity",
    "gan_test",
    "gan_train",
    "gaussian_mmd",
    "high_quality_ceiling",
    "inception_score",
    "kernel_distance",
    "label_coverage",
    "laplacian_patch_distance",
    "mean_pairwise_distance",
    "membership_attack",
    "mode_counts",
    "mode_coverage",
    "ms_ssim",
    "ms_ssim_of_pairs",
    "nearest",
    "nearest_training",
    "one_nearest_neighbour",
    "pair_trends",
    "path_length",
    "per_class",
    "prdc",
    "precision_recall",
    "sliced_wasserstein",
    "support_size",
    "vendi_score",
]
