"""How weights start: He, Xavier or DCGAN's, for networks whose own choice is to be replaced."""

from __future__ import annotations

import math
from typing import Literal

from torch import nn

Initial = Literal["own", "he", "xavier", "normal"]


def initialise(net: nn.Module, how: Initial, slope: float = 0.2) -> None:
    """Draw the weights of every linear and convolutional layer anew, biases 0; "own" leaves the network as it is.

    he: N(0, 2 / ((1 + slope^2) inputs)), for LeakyReLU of that slope (He et al., "Delving Deep into Rectifiers", 2015,
    arXiv:1502.01852, Eq. 15). xavier: N(0, 2 / (inputs + outputs)) (Glorot & Bengio, 2010, Eq. 16 as a normal).
    normal: N(0, 0.02^2) (Radford et al., 2015, arXiv:1511.06434). Inputs are the values that one output is made of,
    in a transposed convolution too.
    """
    if how == "own":
        return
    for module in net.modules():
        if isinstance(module, nn.Linear):
            inputs, outputs = float(module.in_features), float(module.out_features)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            taps, stride = math.prod(module.kernel_size), math.prod(module.stride)
            inputs, outputs = module.in_channels * taps, module.out_channels * taps
            if isinstance(module, nn.ConvTranspose2d):
                inputs /= stride
            else:
                outputs /= stride
        else:
            continue
        deviation = {
            "he": math.sqrt(2 / ((1 + slope**2) * inputs)),
            "xavier": math.sqrt(2 / (inputs + outputs)),
            "normal": 0.02,
        }[how]
        nn.init.normal_(module.weight, 0.0, deviation)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
