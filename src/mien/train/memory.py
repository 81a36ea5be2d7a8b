"""Out of memory: how to know it, and how a batch is done in smaller pieces."""

from mien.errors import RunError

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


def halved(pieces: int, images: int, ranks: int) -> tuple[int, str]:
    """Twice as many pieces for a batch of ``images``, and the sentence that says so.

    Raises:
        RunError: a piece would be a single image, which batch normalisation cannot measure; or
            there are several ranks, which would have to agree.
    """
    more = 2 * pieces
    if ranks > 1:
        raise RunError(
            f"out of memory with {images} images on each of {ranks} processes; "
            f"train with a smaller --batch-size (half of it would be {images // 2 * ranks})"
        )
    if images // more < 2:
        raise RunError(
            f"out of memory even with {-(-images // pieces)} images at once; "
            "free some memory, or take a smaller network or smaller pictures"
        )
    part = -(-images // more)
    return more, (
        f"out of memory with {-(-images // pieces)} images at once: going on with {part} at once, "
        f"gradients added up over {more} pieces of a batch; batch normalisation now measures {part}"
        " images at a time, so the result is not that of a machine with more memory"
    )
