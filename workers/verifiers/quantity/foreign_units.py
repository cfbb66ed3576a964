"""Names of units in Chinese and Russian as the symbols of the grammar.

Invariant: only a unit that is all of its word is replaced, so that `5 米每秒` does not become 5 m.
"""

import re

_CHINESE = "公里=km 千米=km 米=m 厘米=cm 毫米=mm 公斤=kg 千克=kg 克=g 毫克=mg 秒=s 分钟=min 小时=h 升=L 毫升=mL"
_RUSSIAN = "км=km м=m см=cm мм=mm кг=kg г=g мг=mg с=s мин=min ч=h л=L мл=mL км/ч=km/h м/с=m/s"
_UNITS = dict(pair.split("=") for pair in f"{_CHINESE} {_RUSSIAN}".split())
_UNIT = re.compile(
    rf"(?<=\d)\s?({'|'.join(sorted(_UNITS, key=len, reverse=True))})(?![\w/·²³^]|\s?[每/])", re.IGNORECASE
)


def with_symbols(text: str) -> str:
    return _UNIT.sub(lambda found: f" {_UNITS[found[1].lower()]}", text)
