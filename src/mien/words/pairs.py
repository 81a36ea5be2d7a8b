ENGLISH: dict[str, str] = {}
CHINESE: dict[str, str] = {}
