"""What makes the filters of a layer fire: real patches, drawn patterns, and how simple they are.

A filter is one channel of a layer's output; its activation is that output itself, before whatever
pooling, normalisation or nonlinearity the network puts behind the layer. ``layer`` finds the
layer and its receptive fields, ``evidence`` the pictures that fire each filter, ``classes`` what
the logits lose without it, ``patterns`` what would fire it most, ``shapes`` how far a Gabor, bar
or edge explains a pattern, ``needed`` how much of a face it takes.

N images, F filters of the layer, D of them drawn, C channels, H W picture, h w grid of the layer,
K classes. Pictures are 0..255 here; ``as_input`` makes the network's input of them.
"""
