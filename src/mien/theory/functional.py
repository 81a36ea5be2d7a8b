"""Convolutions, poolings and linear maps called as functions, as the layers that they are."""

from typing import Any

from torch import Tensor, nn

_NAMES = {"conv1d": 1, "conv2d": 2, "conv3d": 3}
_POOLS: dict[str, type[nn.Module]] = {
    "max_pool1d": nn.MaxPool1d, "max_pool2d": nn.MaxPool2d, "max_pool3d": nn.MaxPool3d,
    "avg_pool1d": nn.AvgPool1d, "avg_pool2d": nn.AvgPool2d, "avg_pool3d": nn.AvgPool3d,
    "adaptive_avg_pool1d": nn.AdaptiveAvgPool1d, "adaptive_avg_pool2d": nn.AdaptiveAvgPool2d,
    "adaptive_avg_pool3d": nn.AdaptiveAvgPool3d, "adaptive_max_pool2d": nn.AdaptiveMaxPool2d,
}  # fmt: skip
_POOL_ARGUMENTS = {
    "max": ("kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    "avg": ("kernel_size", "stride", "padding", "ceil_mode"),
    "ada": ("output_size",),
}


def functional_layer(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None
) -> nn.Module | None:
    """The layer that ``torch.nn.functional``'s ``name`` with these arguments is, weights and all.

    None where it is no layer; batch normalisation, activations and dropout are followed as
    elementwise functions and get none either.

    Raises:
        NetworkError: impossible arguments.
    """
    given, more = list(args), dict(kwargs or {})
    x = given.pop(0) if given else more.pop("input", None)
    if not isinstance(x, Tensor):
        return None
    if name in _NAMES:
        return _convolution(_NAMES[name], given, more)
    if name == "linear":
        named = dict(zip(("weight", "bias"), given, strict=False)) | more
        outputs, inputs = named["weight"].shape
        return _weighted(nn.Linear(inputs, outputs, device="meta"), named)
    if name in _POOLS:
        named = dict(zip(_POOL_ARGUMENTS[name[:3]], given, strict=False))
        named |= {k: v for k, v in more.items() if k in _POOL_ARGUMENTS[name[:3]]}
        return _POOLS[name](**named)
    return None


def _convolution(rank: int, given: list[Any], more: dict[str, Any]) -> nn.Module:
    names = ("weight", "bias", "stride", "padding", "dilation", "groups")
    named = dict(zip(names, given, strict=False)) | more
    weight, groups = named["weight"], named.get("groups", 1)
    make: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[rank - 1]
    layer = make(
        weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]),
        named.get("stride", 1), named.get("padding", 0), named.get("dilation", 1), groups,
        device="meta",
    )  # fmt: skip
    return _weighted(layer, named)


def _weighted(layer: nn.Module, named: dict[str, Any]) -> nn.Module:
    """The stand-in, made on the meta device in no time, with the tensors that were given."""
    for name in ("weight", "bias"):
        given = named.get(name)
        kept = nn.Parameter(given.detach()) if isinstance(given, Tensor) else None
        layer.register_parameter(name, kept)
    return layer
