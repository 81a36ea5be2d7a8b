"""Out of memory: how to know it, and how a batch is done in smaller pieces."""

from mien.errors import RankLostError, RunError

# What torch's allocators say, where they raise no class of their own.
_SAID = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that memory, of the processor or of a GPU, was too small."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in _SAID)


def halved(pieces: int, images: int, smallest: int, ranks: int = 1) -> tuple[int, str]:
    """Twice as many pieces for a batch, and the sentence that says so.

    images: a rank's share of a batch. smallest: the smallest batch of all ``ranks`` together.

    Raises:
        RunError: a piece would be a single image, which batch normalisation cannot measure.
    """
    more, on_each = 2 * pieces, f" on each of {ranks} processes" if ranks > 1 else ""
    if smallest // (more * ranks) < 2:
        raise RunError(
            f"out of memory even with {-(-images // pieces)} images at once{on_each}; "
            "free some memory, or take a smaller network or smaller pictures"
        )
    part = -(-images // more)
    return more, (
        f"out of memory with {-(-images // pieces)} images at once{on_each}: going on with {part} "
        f"at once, gradients added up over {more} pieces of a batch; batch normalisation now "
        f"measures {part} images at a time, so the result is not that of a machine with more memory"
    )


def undivided(images: int, ranks: int) -> RankLostError:
    """What is said where a batch cannot be cut: its ranks talk to each other in every layer.

    The others cannot be told, so whichever rank it is says it itself.
    """
    return RankLostError(
        f"out of memory with {images} images on each of {ranks} processes, which normalise them "
        f"together and so cannot cut them further; train with a smaller --batch-size "
        f"(half of it would be {images // 2 * ranks}) or on more processes"
    )


def pieces_on(ranks: int, pieces: int, before: int, smallest: int) -> int:
    """Into how many pieces ``ranks`` cut a batch that ``before`` of them cut into ``pieces``.

    As many images at once on each as memory had room for, but two or more. smallest: the smallest
    batch of all ranks together.
    """
    if pieces == 1 or ranks == before:
        return pieces
    return max(1, min(-(-pieces * before // ranks), smallest // (2 * ranks)))
