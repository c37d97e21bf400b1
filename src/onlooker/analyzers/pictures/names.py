"""The labels that pictures may get, in English and Chinese."""

# ruff: noqa: E501

from __future__ import annotations

from typing import NamedTuple

__all__ = ["LABELS", "Label"]


class Label(NamedTuple):
    """How a picture of it would be spoken of."""

    english: str
    chinese: str


_LIST = """
beach|a beach|海滩; mountain|mountains|山; forest|a forest|森林; desert|a desert|沙漠; river|a river or lake|河流湖泊
sea|the open sea|大海; snow|a snowy landscape|雪景; field|a field or meadow|田野草地; garden|a garden|花园; park|a park|公园
city|a city skyline|城市; street|a street|街道; road|a road with traffic|公路; bridge|a bridge|桥; night|a night scene|夜景
sunset|a sunset|日落; fire|a fire|火; smoke|smoke|烟; crowd|a crowd of people|人群; office|an office|办公室
classroom|a classroom|教室; kitchen|a kitchen|厨房; bedroom|a bedroom|卧室; living_room|a living room|客厅
restaurant|a restaurant|餐厅; shop|a shop or supermarket|商店超市; hospital|a hospital|医院; church|a church or temple|教堂寺庙
stadium|a sports stadium|体育场; gym|a gym|健身房; pool|a swimming pool|游泳池; stage|a stage with performers|舞台
studio|a television news studio|演播室; factory|a factory|工厂; construction|a construction site|建筑工地
farm|a farm|农场; airport|an airport|机场; station|a railway station|火车站; parking|a car park|停车场; stairs|stairs|楼梯
car_inside|the inside of a car|车内; dancing|people dancing|跳舞; fighting|people fighting|打架; running|people running|跑步
cooking|someone cooking|做饭; eating|people eating|吃饭; meeting|a business meeting|会议; wedding|a wedding|婚礼
football|a football match|足球比赛; basketball|a basketball game|篮球比赛; swimming|someone swimming|游泳
cycling|someone riding a bicycle|骑自行车; protest|a protest march|游行; parade|a parade|阅兵游行; concert|a concert|音乐会
interview|an interview|采访; lecture|a lecture|讲课; slide|a presentation slide|幻灯片; text|a page of text|文字页面
chart|a chart or diagram|图表; map|a map|地图; logo|a logo|标志; screen|a computer screen|电脑屏幕; cartoon|a cartoon|动画
video_game|a video game|电子游戏; painting|a painting|绘画; portrait|a close-up of a face|人脸特写; baby|a baby|婴儿
food|a dish of food|食物; flowers|flowers|花; dog|a dog|狗; cat|a cat|猫; bird|a bird|鸟; horse|a horse|马; fish|fish|鱼
aeroplane|an aeroplane|飞机; train|a train|火车; ship|a ship|船; bus|a bus|公共汽车; motorcycle|a motorcycle|摩托车
police|police officers|警察; soldiers|soldiers|士兵; weapon|a weapon|武器; accident|a car accident|车祸; flood|a flood|洪水
"""
LABELS: dict[str, Label] = {
    name: Label(english, chinese)
    for name, english, chinese in (
        part.strip().split("|") for part in _LIST.replace("\n", ";").split(";") if part.strip()
    )
}
