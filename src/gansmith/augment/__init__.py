"""What stands in front of D: adaptive and differentiable augmentation, instance noise, jitter."""

from .ada import ADA
from .build import Augment, build
from .diffaugment import DiffAugment
from .jitter import jitter
from .noise import instance_noise

__all__ = ["ADA", "Augment", "DiffAugment", "build", "instance_noise", "jitter"]
