"""The seven expression classes, their names, and what other datasets call them.

Knows nothing of files or tensors. The order is FER2013's (Goodfellow et al. 2013,
arXiv:1307.0414): a label is an index 0..6 into ``CLASSES``.
"""

from collections.abc import Iterable, Mapping

CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

# Taiwan's terms.
NAMES_ZH_HANT = {
    "angry": "生氣",
    "disgust": "厭惡",
    "fear": "恐懼",
    "happy": "快樂",
    "sad": "悲傷",
    "surprise": "驚訝",
    "neutral": "中性",
}
_DISPLAY_ZH_HANT = NAMES_ZH_HANT | {
    "unsure": "不確定",
    "not a face": "不是臉",
    "no face": "沒有臉",
}

# Folder and label names seen in FER2013, CK+, JAFFE, KDEF, RAF-DB, AffectNet, ExpW and their
# copies. RAF-DB's bare numbers are left out: they collide with FER2013's.
ALIASES = {
    "anger": "angry", "angry": "angry", "an": "angry", "ang": "angry", "生氣": "angry",
    "disgust": "disgust", "disgusted": "disgust", "di": "disgust", "dis": "disgust",
    "disgusting": "disgust", "厭惡": "disgust",
    "fear": "fear", "fearful": "fear", "afraid": "fear", "scared": "fear", "fe": "fear",
    "fea": "fear", "恐懼": "fear", "害怕": "fear",
    "happy": "happy", "happiness": "happy", "joy": "happy", "joyful": "happy", "smile": "happy",
    "ha": "happy", "hap": "happy", "快樂": "happy", "高興": "happy", "開心": "happy",
    "sad": "sad", "sadness": "sad", "sa": "sad", "悲傷": "sad", "難過": "sad",
    "surprise": "surprise", "surprised": "surprise", "su": "surprise", "sur": "surprise",
    "astonished": "surprise", "驚訝": "surprise", "驚喜": "surprise",
    "neutral": "neutral", "neutrality": "neutral", "normal": "neutral", "ne": "neutral",
    "neu": "neutral", "calm": "neutral", "中性": "neutral", "面無表情": "neutral",
}  # fmt: skip


def class_of(name: str, extra: Mapping[str, str] | None = None) -> str | None:
    """The class that a folder or label called ``name`` stands for, or None where it is unknown.

    Letter case, surrounding blanks and a leading number as in ``3_happy`` or ``0-angry`` do not
    matter; a bare ``0`` .. ``6`` is FER2013's index. ``extra`` (as given with ``--map``) goes
    first and its targets are names of classes or aliases of them.
    """
    key = name.strip().casefold()
    for source, target in (extra or {}).items():
        if source.strip().casefold() == key:
            return ALIASES.get(target.strip().casefold())
    if len(key) == 1 and key in "0123456":
        return CLASSES[int(key)]
    stem = key.lstrip("0123456789").lstrip("_-. ") if key[:1].isdecimal() else key
    return ALIASES.get(key) or ALIASES.get(stem)


def parse_map(pairs: Iterable[str]) -> dict[str, str]:
    """``["contempt=disgust"]`` as ``{"contempt": "disgust"}``.

    Raises:
        OptionError: a pair has no ``=``, or its right side is not one of the seven classes.
    """
    from mien.errors import OptionError

    found: dict[str, str] = {}
    for pair in pairs:
        source, equals, target = pair.partition("=")
        if not equals or not source.strip():
            raise OptionError(
                f"--map {pair}: write it as FOUND=CLASS, for example contempt=disgust"
            )
        if target.strip().casefold() not in ALIASES:
            raise OptionError(f"--map {pair}: '{target}' is none of {', '.join(CLASSES)}")
        found[source.strip()] = ALIASES[target.strip().casefold()]
    return found


def display_name(name: str, language: str = "en") -> str:
    """A class's or answer's name for people: ``language`` is ``en`` or ``zh-Hant``."""
    return _DISPLAY_ZH_HANT.get(name, name) if language == "zh-Hant" else name
