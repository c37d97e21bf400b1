"""The feeling of Chinese sentences: words and the rules of `english` in the form that Chinese has them.

The lists were written for this project. Where a sentence holds none of their words it is said to have no feeling.
"""

# ruff: noqa: E501, SIM905

from __future__ import annotations

import re

from onlooker.analyzers.sentiment.english import bounded

__all__ = ["chinese_feeling"]

_GOOD, _BAD = {
    3.0: "太好了 太棒了 棒极了 好极了 完美 热爱 幸福 精彩 卓越 杰出 绝佳 极好 欣喜 狂欢 了不起 无与伦比 恭喜 祝贺",
    2.4: "喜欢 开心 高兴 快乐 优秀 漂亮 美丽 满意 感谢 谢谢 成功 胜利 赢了 出色 超值 惊喜 感动 骄傲 自豪 赞 点赞 棒 爱 美好"
    " 温暖 愉快 享受 推荐 值得 美味 好吃 可爱 迷人 欢乐 兴奋 激动 笑 喜爱 喜悦 乐观 舒服 舒适 贴心 周到 干净 好看 帅 厉害 强大",
    1.8: "好 不错 方便 安全 健康 友好 热情 希望 放心 支持 顺利 进步 轻松 有趣 实用 优质 优惠 便宜 清晰 流畅 丰富 新鲜 安静 整洁"
    " 好评 信任 帮助 鼓励 温馨 耐心 细心 礼貌 和平 勇敢 善良 聪明 努力 期待 有用 有益 给力 划算 合适 稳定 漂亮 受益 收获 创新",
}, {
    3.0: "恨 痛恨 恶心 可怕 恐怖 悲剧 绝望 惨 惨重 死亡 杀 谋杀 虐待 崩溃 灾难 垃圾 糟糕 极差 骗子 欺骗 诈骗 暴力 愤怒 痛苦 屠杀",
    2.4: "讨厌 难过 伤心 失望 生气 害怕 担心 恼火 后悔 失败 输了 差劲 难吃 难看 难受 丑 坏 坏了 骂 打架 受伤 危险 事故 哭 孤独 烦"
    " 烦人 可恶 可惜 遗憾 悲伤 焦虑 恶劣 混乱 污染 犯罪 违法 欺负 侮辱 威胁 抱怨 投诉 退货 上当 假货 浪费 无聊 破 烂 臭 脏 病 疼 痛"
    " 吵 冷漠 敷衍 粗糙 劣质 恶化 损失 罚款 拒绝 争吵 冲突 倒闭 破产 憋屈 郁闷 后怕 气愤 无语",
    1.8: "差 贵 慢 难 错误 问题 麻烦 困难 缺点 缺陷 不足 毛病 噪音 冷清 拥挤 堵车 累 疲惫 紧张 压力 无奈 陈旧 老化 模糊 卡顿 死机"
    " 故障 失误 缺乏 不便 过分 勉强 一般 凑合 批评 反对 怀疑 可疑 尴尬 下降 下跌 亏损 危机 战争 风险 有毒 吵闹 昏暗 异味 乱 旧 退",
}  # fmt: skip
_VALENCES = {w: v for v, words in _GOOD.items() for w in words.split()} | {
    w: -v for v, words in _BAD.items() for w in words.split()
}
_NEUTRAL = set(
    "好像 好几 好多 最好 只好 正好 刚好 恰好 好久 好处 好奇 问好 你好 您好 好的 好吧 好了 好不 难道 难免 不难 难以 不断 不同 不过 不仅 不但"
    " 不管 不论 不久 差不多 差别 时差 破坏性 疼爱 可爱 爱人 爱好 破案 打破 突破 累计 积累 笑话 退休 病人 看病 问题是 没问题 旧金山 乱七八糟 乱世"
    " 新旧 中旬 一般来说 坏人 哭笑不得 爱心 热爱 错过 不错 没错 杀毒 痛快 凉快 慢慢 宝贵 珍贵 贵宾 贵州 贵公司 贵姓 退出 后退 破晓 烂漫 恨不得".split()
)
_NEUTRAL -= set(_VALENCES)
_VALENCES |= {
    "没问题": 1.5,
    "痛快": 2.0,
    "凉快": 1.5,
    "珍贵": 2.0,
    "宝贵": 2.0,
    "爱心": 2.0,
    "乱七八糟": -2.4,
    "没错": 1.0,
}
_STRONGER = (
    "非常",
    "特别",
    "十分",
    "极其",
    "极",
    "最",
    "太",
    "真",
    "真的",
    "很",
    "好",
    "超",
    "超级",
    "相当",
    "更",
    "实在",
    "尤其",
)
_WEAKER = ("有点", "有些", "稍微", "略", "比较", "还算", "不太", "一点")
_NEGATIONS = (
    "不",
    "没",
    "没有",
    "未",
    "别",
    "无",
    "不是",
    "不会",
    "不能",
    "从不",
    "从未",
    "毫无",
    "不够",
    "不太",
    "不怎么",
    "并非",
    "不算",
)
_TURNS = re.compile("但是|可是|不过|然而|但|却")
_CLAUSES = re.compile("[，。！？；、,.!?;：:\\s]+")
_LONGEST = max(map(len, [*_VALENCES, *_NEUTRAL]))
_DEGREE, _NEGATION = 0.5, -0.74
_BEFORE = 4


def chinese_feeling(text: str) -> float | None:
    """The feeling of a text, -1 (bad) .. 1 (good); None where it holds none of the words.

    >>> chinese_feeling("这家饭店的服务非常好")>0.4, chinese_feeling("我不喜欢") < 0, chinese_feeling("现在是三点")
    (True, True, None)
    """
    total, found = 0.0, False
    for weight, part in _parts(text):
        for clause in _CLAUSES.split(part):
            for place, word in _words(clause):
                found = True
                total += weight * _valence(clause, place, _VALENCES[word])
    if not found:
        return None
    strength = 0.292 * min(4, text.count("!") + text.count("！"))
    return bounded(total + (strength if total > 0 else -strength if total < 0 else 0.0))


def _parts(text: str) -> list[tuple[float, str]]:
    """What stands before a turn ("but") counts half, what follows it one and a half."""
    turn = _TURNS.search(text)
    return [(1.0, text)] if turn is None else [(0.5, text[: turn.start()]), (1.5, text[turn.end() :])]


def _words(clause: str) -> list[tuple[int, str]]:
    """Places and words of the lists, the longest first at each place."""
    made: list[tuple[int, str]] = []
    at = 0
    while at < len(clause):
        for size in range(min(_LONGEST, len(clause) - at), 0, -1):
            word = clause[at : at + size]
            if word in _VALENCES or word in _NEUTRAL:
                if word in _VALENCES:
                    made.append((at, word))
                at += size
                break
        else:
            at += 1
    return made


def _valence(clause: str, at: int, value: float) -> float:
    before = clause[max(0, at - _BEFORE) : at]
    if any(before.endswith(w) for w in _WEAKER):
        value *= 1 - _DEGREE / 2
    elif any(before.endswith(w) for w in _STRONGER):
        value *= 1 + _DEGREE
    # "不但", "不仅" and the like turn nothing round
    plain = re.sub("不但|不仅|不管|不论|不断|不过|不久|不同|要不|差不多|无论|没想到|无比", "", before)
    turned = sum(plain.count(c) for c in "不没未别无")
    return value * _NEGATION if turned % 2 else value
