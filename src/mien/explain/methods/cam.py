"""Grad-CAM (Selvaraju et al. 2016, arXiv:1610.02391) and LayerCAM (Jiang et al. 2021,
doi:10.1109/TIP.2021.3089943): what the feature maps of one layer say for a class.

Grad-CAM weighs each feature map by the mean of its gradient, LayerCAM each cell of it by its own
positive gradient. Both papers cut negative sums off; here they keep their sign unless
``Options.relu``. The grid is brought to the picture's size bilinearly, cell centres on cell
centres.
"""

from dataclasses import replace

from torch import Tensor, nn
from torch.nn.functional import interpolate

from mien.explain.aim import Aim
from mien.explain.methods.places import activation_and_gradient, find_place
from mien.explain.options import Options

_MOUTH = 4  # mouths to a face's height, about
_CELLS = 2  # cells that a part of a face must span to be told from what lies beside it


def gradcam(network: nn.Module, x_NCHW: Tensor, aim: Aim, options: Options) -> Tensor:
    """float32 N×C×H×W inputs to float32 N×H×W; heeds ``layer`` and ``relu``."""
    values, found = _at_layer(network, x_NCHW, aim, options)
    return _enlarged((found.mean(dim=(2, 3), keepdim=True) * values).sum(dim=1), x_NCHW, options)


def layercam(network: nn.Module, x_NCHW: Tensor, aim: Aim, options: Options) -> Tensor:
    """float32 N×C×H×W inputs to float32 N×H×W; heeds ``layer`` and ``relu``."""
    values, found = _at_layer(network, x_NCHW, aim, options)
    return _enlarged((found.clamp_min(0) * values).sum(dim=1), x_NCHW, options)


def choose_layer(network: nn.Module, x_NCHW: Tensor, options: Options) -> Options:
    """The options with the layer's name filled in."""
    return replace(options, layer=find_place(network, x_NCHW, options.layer).name)


def layer_notes(network: nn.Module, x_NCHW: Tensor, options: Options) -> tuple[str, ...]:
    """The layer's grid, and whether it is too coarse for the parts of a face."""
    values, _ = _at_layer(network, x_NCHW, Aim(None), options)
    (h, w), (H, W) = values.shape[2:], x_NCHW.shape[2:]
    notes = [f"layer '{options.layer}': {h}×{w} cells, each of {H / h:.3g}×{W / w:.3g} pixels"]
    if h < _CELLS * _MOUTH:
        notes.append(
            f"this grid is too coarse to place a mouth, which is about {H / _MOUTH:.3g} pixels "
            f"({h / _MOUTH:.2g} cells) high; an earlier --layer has a finer one"
        )
    return tuple(notes)


def _at_layer(
    network: nn.Module, x_NCHW: Tensor, aim: Aim, options: Options
) -> tuple[Tensor, Tensor]:
    place = find_place(network, x_NCHW[:1], options.layer)
    return activation_and_gradient(network, x_NCHW, aim, place)


def _enlarged(grid_Nhw: Tensor, x_NCHW: Tensor, options: Options) -> Tensor:
    if options.relu:
        grid_Nhw = grid_Nhw.clamp_min(0)
    size = (x_NCHW.shape[2], x_NCHW.shape[3])
    return interpolate(grid_Nhw[:, None], size, mode="bilinear", align_corners=False)[:, 0]
