"""Words that say nothing about what a text is about."""

# ruff: noqa: E501, SIM905

from __future__ import annotations

__all__ = ["STOP_WORDS"]

STOP_WORDS = frozenset(
    """
    a about above after again against all almost along already also although always am an and another any anyone anything
    are around as at away back be became because become been before began being below between both but by came can cannot
    come could did do does doing done down during each either else enough even ever every everyone everything few first
    for from further gave get gets getting give given go goes going gone good got great had has have having he her here
    hers herself him himself his how however i if in indeed into is it its itself just keep kind know known last later
    least less let like likely little long look looking lot lots made make makes making many may maybe me mean means might
    mine more most much must my myself near need never new next no nobody none nor not nothing now of off often oh ok okay
    old on once one only onto or other others our ours out over own per perhaps please put quite rather really right said
    same saw say says see seem seemed seems seen several shall she should show since so some someone something sometimes
    soon still such sure take taken tell than thank thanks that the their them themselves then there therefore these they
    thing things think this those though thought through thus to today together told too took toward try trying two under
    until up upon us use used using usually very want wanted was way we well went were what whatever when where whether
    which while who whole whom whose why will with within without won would yes yet you your yours yourself
    ain't aren't can't couldn't didn't doesn't don't hadn't hasn't haven't he's i'd i'll i'm i've isn't it's let's she's
    shouldn't that's there's they're they've wasn't we'll we're we've weren't what's won't wouldn't you'd you'll you're
    you've um uh er ah hmm yeah hello hi
    的 了 在 是 我 有 和 就 不 人 都 一 一个 上 也 很 到 说 要 去 你 会 着 没有 看 好 自己 这 那 里 他 她 它 们 我们 你们 他们
    她们 它们 咱们 大家 什么 怎么 怎样 如何 为什么 因为 所以 但是 可是 不过 然而 如果 虽然 而且 并且 或者 还是 以及 对于 关于 通过
    这个 那个 这些 那些 这里 那里 这样 那样 这种 那种 哪里 哪个 时候 现在 今天 明天 昨天 已经 正在 可以 可能 应该 需要 能够 能 想 让
    把 被 给 对 从 向 往 与 及 或 而 且 但 之 其 此 于 以 为 为了 所 者 由 将 请 等 等等 呢 吗 吧 啊 哦 嗯 呀 嘛 啦 哈 还 再 又 才 只 更
    最 非常 特别 比较 十分 太 真 真的 一些 一下 一样 一直 一定 一起 有些 有的 没 无 每 每个 各 各种 某 第 个 位 次 年 月 日 号
    点 分 种 件 条 张 些 下 中 前 后 内 外 左 右 大 小 多 少 来 出 起 过 得 地 知道 觉得 认为 进行 开始 成为 作为 表示 就是 不是
    还有 只有 都是 也是 的话 然后 之后 之前 以后 以前 其中 其他 其实 当然 所有 许多 很多 不同 主要 重要 问题 情况 方面 东西 事情
    欢迎 谢谢 请 两 三 二 四 五 六 七 八 九 十 百 千 万
    """.split()
)
