"""Names of places that a question may demand: provinces, larger cities, countries.

Kept as a list because a dictionary's part-of-speech tags are wrong too often for a refusal to rest
on them (jieba lists 江河 and 上门 as places). Without 省, 市 and 自治区, so that both forms match.
"""

from __future__ import annotations

import re

_PROVINCES = """
北京 天津 上海 重庆 河北 山西 辽宁 吉林 黑龙江 江苏 浙江 安徽 福建 江西 山东
河南 湖北 湖南 广东 海南 四川 贵州 云南 陕西 甘肃 青海 台湾 内蒙古 广西 西藏
宁夏 新疆 香港 澳门
"""
_CITIES = """
石家庄 太原 呼和浩特 沈阳 大连 长春 哈尔滨 南京 苏州 无锡 杭州 宁波 温州 义乌
合肥 福州 厦门 泉州 南昌 济南 青岛 烟台 郑州 洛阳 武汉 宜昌 襄阳 长沙 株洲
湘潭 衡阳 邵阳 岳阳 常德 张家界 益阳 郴州 永州 怀化 娄底 湘西 广州 深圳 珠海
佛山 东莞 惠州 汕头 南宁 桂林 柳州 海口 三亚 成都 绵阳 贵阳 遵义 昆明 大理
拉萨 西安 咸阳 兰州 西宁 银川 乌鲁木齐
"""
_COUNTRIES = """
美国 英国 法国 德国 俄罗斯 日本 韩国 朝鲜 印度 巴基斯坦 孟加拉国 尼泊尔 斯里兰卡
泰国 越南 老挝 柬埔寨 缅甸 新加坡 马来西亚 印度尼西亚 印尼 菲律宾 文莱 蒙古
哈萨克斯坦 乌兹别克斯坦 伊朗 伊拉克 沙特 阿联酋 以色列 土耳其 埃及 南非 尼日利亚
肯尼亚 埃塞俄比亚 坦桑尼亚 加纳 摩洛哥 阿尔及利亚 意大利 西班牙 葡萄牙 荷兰 比利时
瑞士 瑞典 挪威 芬兰 丹麦 波兰 匈牙利 捷克 奥地利 希腊 乌克兰 塞尔维亚 加拿大
墨西哥 巴西 阿根廷 智利 秘鲁 古巴 澳大利亚 新西兰
"""
# The longest first, so that 印度尼西亚 is not read as 印度.
PLACE = re.compile(
    "|".join(sorted((_PROVINCES + _CITIES + _COUNTRIES).split(), key=len, reverse=True))
)
_LEVELS = {
    place: level
    for level, places in enumerate((_PROVINCES, _CITIES, _COUNTRIES))
    for place in places.split()
}


def places_in(text: str) -> list[str]:
    """The listed places that a (normalised) text names, in order, each once."""
    return list(dict.fromkeys(PLACE.findall(text)))


def place_level(place: str) -> int | None:
    """Equal for places of one kind (provinces, cities, countries); None for no listed place."""
    return _LEVELS.get(place)
