"""The topics, each with its names and with phrases in English and Chinese that tell what belongs to it."""

# ruff: noqa: E501

from __future__ import annotations

from typing import NamedTuple

__all__ = ["TOPICS", "Topic"]


class Topic(NamedTuple):
    """A topic.

    Args:
        english, chinese: its names.
        phrases: what is said where it is spoken of; each is encoded by itself.
    """

    english: str
    chinese: str
    phrases: tuple[str, ...]


def _topic(english: str, chinese: str, *phrases: str) -> Topic:
    return Topic(english, chinese, (english, chinese, *phrases))


TOPICS: dict[str, Topic] = {
    "film": _topic("film and television", "电影电视", "actors and directors of a movie", "导演和演员拍电影"),
    "music": _topic("music", "音乐", "singing songs and playing instruments", "guitar chords and melody", "唱歌演奏乐器"),
    "theatre": _topic("theatre and dance", "戏剧舞蹈", "a play on stage", "ballet dancers", "舞台表演"),
    "painting": _topic("painting and art", "绘画艺术", "an exhibition of paintings in a museum", "画家的作品展览"),
    "literature": _topic("literature", "文学", "novels and poems by a writer", "小说和诗歌", "reading a book"),
    "fashion": _topic("fashion", "时尚服装", "clothes and designers", "服装搭配"),
    "beauty": _topic("make-up and beauty", "美妆护肤", "applying lipstick and eye make-up", "化妆和护肤品"),
    "photography": _topic("photography", "摄影", "cameras, lenses and taking pictures", "相机镜头拍照"),
    "finance": _topic("finance and stock markets", "金融股市", "interest rates, shares and bonds", "投资者买卖股票"),
    "business": _topic("business and companies", "企业商业", "a company sells products to customers", "公司的销售和利润"),
    "housing": _topic("housing and property", "房地产", "buying a flat, rents and house prices", "买房租房房价"),
    "jobs": _topic("jobs and labour", "就业劳动", "workers, wages and unemployment", "工人工资和招聘"),
    "advertising": _topic("advertising and shopping", "广告购物", "buy now at a special price", "优惠促销购买产品"),
    "crime": _topic("crime and police", "犯罪警察", "the police arrested a thief", "警方抓获嫌疑人", "a murder"),
    "law": _topic("law and courts", "法律法院", "a judge and a lawyer in a trial", "法官律师审判案件"),
    "war": _topic("war and military", "战争军事", "soldiers, weapons and battles", "军队士兵武器作战"),
    "protest": _topic("protest and unrest", "抗议示威", "demonstrators march in the streets", "民众上街游行"),
    "fighting": _topic("fighting and violence", "打架暴力", "people hit each other", "两个人打架斗殴"),
    "accident": _topic("accidents and rescue", "事故救援", "a crash with injured people", "车祸伤亡", "firefighters put out a fire"),
    "disaster": _topic("natural disasters", "自然灾害", "earthquake, flood and storm", "地震洪水台风"),
    "school": _topic("school and education", "学校教育", "teachers and pupils in a classroom", "老师给学生上课", "exams"),
    "mathematics": _topic("mathematics", "数学", "equations, numbers and proofs", "方程和几何证明"),
    "language": _topic("languages and grammar", "语言学习", "learn English words and grammar", "学习单词和语法"),
    "physics": _topic("physics", "物理", "force, energy and light waves", "力学能量电磁波"),
    "chemistry": _topic("chemistry", "化学", "molecules, acids and reactions", "分子和化学反应"),
    "biology": _topic("biology", "生物", "cells, genes and evolution", "细胞基因进化"),
    "space": _topic("space and astronomy", "航天天文", "rockets, planets and stars", "火箭卫星和行星", "astronauts on a space station"),
    "computing": _topic(
        "computing and software", "计算机软件", "programs, algorithms and data", "neural networks learn from data",
        "人工智能和机器学习", "编程和算法",
    ),
    "technology": _topic("technology and engineering", "科技工程", "machines, robots and inventions", "机器人和发明"),
    "phones": _topic("phones and gadgets", "手机数码", "reviewing a new smartphone", "新款手机评测"),
    "games": _topic("video games", "电子游戏", "playing a computer game", "玩家玩游戏通关"),
    "medicine": _topic("medicine and health", "医学健康", "doctors treat patients in hospital", "医生治疗病人", "症状和药物"),
    "psychology": _topic("mental health", "心理健康", "stress, fear and therapy", "焦虑抑郁心理咨询"),
    "fitness": _topic("fitness and exercise", "健身运动", "push-ups and training in the gym", "锻炼身体减肥"),
    "climate": _topic("climate and environment", "气候环境", "global warming and carbon emissions", "污染和碳排放"),
    "energy": _topic("energy", "能源", "oil, gas, wind and solar power", "石油电力太阳能"),
    "animals": _topic("animals and wildlife", "野生动物", "lions, birds and fish in nature", "动物捕食", "predators hunt their prey"),
    "pets": _topic("pets", "宠物", "a dog or cat at home", "养猫养狗"),
    "agriculture": _topic("farming", "农业", "farmers, crops and cattle", "农民种植庄稼"),
    "gardening": _topic("gardening and plants", "园艺植物", "flowers, soil and watering plants", "养花种草"),
    "cooking": _topic("cooking and food", "烹饪美食", "a recipe with onions and salt", "做菜的步骤和调料", "fry and boil"),
    "restaurants": _topic("restaurants and eating out", "餐厅", "ordering dishes in a restaurant", "去饭店吃饭点菜"),
    "travel": _topic("travel and tourism", "旅游", "tourists, hotels and sights", "游客参观景点酒店"),
    "transport": _topic("traffic and transport", "交通运输", "trains, buses and roads", "高铁公交机场"),
    "cars": _topic("cars and motoring", "汽车", "engine, brakes and tyres", "repairing a car", "发动机和轮胎"),
    "aviation": _topic("aviation", "航空", "pilots and aeroplanes landing", "飞机起飞降落"),
    "home": _topic("home and building", "家居装修", "furniture, tools and repairs in the house", "装修房子"),
    "family": _topic("family and children", "家庭育儿", "parents and their baby", "父母照顾孩子"),
    "relationships": _topic("love and relationships", "爱情婚姻", "a wedding couple", "恋爱结婚"),
    "elections": _topic("elections", "选举", "voters, candidates and polls", "选民投票候选人"),
    "government": _topic("politics and government", "政治政府", "the president and parliament", "国家领导人政策", "prime minister"),
    "diplomacy": _topic("international relations", "国际关系", "talks between two countries", "两国外交会谈"),
    "religion": _topic("religion", "宗教", "church, prayer and God", "寺庙祈祷信仰"),
    "history": _topic("history", "历史", "ancient kings and empires", "古代王朝和皇帝"),
    "philosophy": _topic("philosophy and ethics", "哲学", "the meaning of life", "人生的意义"),
    "football": _topic("football", "足球", "the goalkeeper, a penalty and a goal", "射门进球守门员"),
    "basketball": _topic("basketball", "篮球", "three-pointers and rebounds", "投篮三分球"),
    "athletics": _topic("athletics and swimming", "田径游泳", "runners and a gold medal", "赛跑冠军"),
    "tennis": _topic("tennis and ball games", "网球乒乓球", "serve, set and match", "发球比赛"),
    "motorsport": _topic("motor sport", "赛车", "a racing driver overtakes", "赛车手比赛"),
    "combat_sport": _topic("boxing and wrestling", "拳击摔跤", "a boxer knocks out his opponent", "武术格斗比赛"),
    "winter_sport": _topic("winter sport", "冰雪运动", "skiing and ice skating", "滑雪滑冰"),
    "weather": _topic("weather", "天气", "rain, wind and temperature tomorrow", "气温降雨大风", "weather forecast"),
    "meetings": _topic("meetings and work", "会议工作", "the agenda and tasks of the team", "项目进度会议讨论"),
}  # fmt: skip
