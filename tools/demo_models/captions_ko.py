"""Korean captions."""

from __future__ import annotations

from random import Random

from tools.demo_models.spec import Composition, Scene, Spec, Thing

SIZES = {"small": ("작은", "조그만"), "large": ("큰", "커다란")}
TEXTURES = {"striped": ("줄무늬", "줄무늬가 있는"), "dotted": ("점무늬", "물방울무늬")}
COLOURS = {
    "red": ("빨간", "빨간색", "붉은"),
    "orange": ("주황색", "주황"),
    "yellow": ("노란", "노란색"),
    "green": ("초록색", "녹색"),
    "blue": ("파란", "파란색"),
    "purple": ("보라색", "자주색"),
    "pink": ("분홍색", "분홍"),
    "black": ("검은", "검은색", "검정"),
    "white": ("하얀", "흰색", "흰"),
    "grey": ("회색",),
    "brown": ("갈색",),
}
SHAPES = {
    "circle": ("원", "동그라미"),
    "square": ("사각형", "네모", "정사각형"),
    "triangle": ("삼각형", "세모"),
    "star": ("별",),
    "heart": ("하트",),
    "ring": ("고리",),
    "cross": ("십자가",),
    "crescent": ("초승달",),
}
PLACES = {
    "top left": ("왼쪽 위에 있는", "왼쪽 위 구석에 있는"),
    "top": ("위쪽에 있는", "위에 있는"),
    "top right": ("오른쪽 위에 있는", "오른쪽 위 구석에 있는"),
    "left": ("왼쪽에 있는",),
    "centre": ("가운데에 있는", "중앙에 있는"),
    "right": ("오른쪽에 있는",),
    "bottom left": ("왼쪽 아래에 있는", "왼쪽 아래 구석에 있는"),
    "bottom": ("아래쪽에 있는", "아래에 있는"),
    "bottom right": ("오른쪽 아래에 있는", "오른쪽 아래 구석에 있는"),
}
BACKGROUNDS = {
    "white": "하얀",
    "light grey": "밝은 회색",
    "cream": "크림색",
    "light blue": "하늘색",
    "light green": "연두색",
    "lavender": "연보라색",
    "dark blue": "남색",
    "black": "검은",
    "sky": "하늘",
    "sunrise": "살구색",
    "twilight": "해질녘",
}
RELATIONS = {
    "left": (
        "{b}의 왼쪽에 있는 {a}",
        "{b} 왼쪽에 있는 {a}",
        "{b} 왼쪽의 {a}",
        "{a}의 오른쪽에 있는 {b}",
        "{a} 오른쪽에 있는 {b}",
        "{a} 오른쪽의 {b}",
        "왼쪽에는 {a}, 오른쪽에는 {b}",
        "{a:이} {b}의 왼쪽에 있다",
        "{b:이} {a}의 오른쪽에 있다",
    ),
    "above": (
        "{b}의 위에 있는 {a}",
        "{b} 위에 있는 {a}",
        "{b} 위의 {a}",
        "{a}의 아래에 있는 {b}",
        "{a} 아래에 있는 {b}",
        "{a} 밑에 있는 {b}",
        "위에는 {a}, 아래에는 {b}",
        "{a:이} {b}의 위에 있다",
        "{b:이} {a}의 아래에 있다",
    ),
    "inside": (
        "{b} 안에 있는 {a}",
        "{b}의 안에 있는 {a}",
        "{b} 속의 {a}",
        "{a:을} 둘러싼 {b}",
        "{a:이} {b} 안에 있다",
    ),
    "front": (
        "{b} 앞에 있는 {a}",
        "{b}의 앞에 있는 {a}",
        "{a} 뒤에 있는 {b}",
        "{a}의 뒤에 있는 {b}",
        "{a:이} {b} 앞에 있다",
        "{b:이} {a} 뒤에 있다",
    ),
}
FRAMES = (
    "{x}",
    "{x}",
    "{x}",
    "{x} 그림",
    "{x} 사진",
    "{x:을} 그려 줘",
    "{x}의 그림",
    "{x}의 아름다운 사진",
)
TIMES = {
    "day": ("", "", "맑은 날의", "낮의"),
    "sunset": ("노을 지는", "해질녘의", "저녁의"),
    "night": ("밤의", "한밤의", "별이 빛나는 밤의"),
}
SEASONS = {
    "none": ("",),
    "spring": ("봄의", "벚꽃이 핀", "벚꽃 필 때의"),
    "summer": ("여름의",),
    "autumn": ("가을의", "단풍이 든"),
    "winter": ("겨울의", "눈 덮인"),
}
SCENES = {
    "fuji": ("후지산", "후지산", "눈 덮인 산", "호수와 산"),
    "night": ("밤하늘", "달과 별", "별이 빛나는 밤하늘"),
    "sea": ("{c} 돛단배와 바다", "바다 위의 {c} 돛단배", "바다에 떠 있는 {c} 배"),
    "house": ("{c} 지붕 집", "{c} 지붕의 집과 나무"),
    "forest": ("숲", "나무들", "나무가 많은 숲"),
    "desert": ("사막", "사막의 선인장", "선인장이 있는 사막"),
    "snow": ("{c} 목도리를 한 눈사람", "눈밭의 {c} 목도리 눈사람"),
    "city": ("도시", "높은 건물들", "도시의 건물들"),
    "meadow": ("{c} 꽃이 핀 들판", "{c} 꽃밭"),
    "rainbow": ("무지개", "언덕 위의 무지개"),
    "balloon": ("{c} 열기구", "하늘의 {c} 열기구"),
    "island": ("야자수가 있는 섬", "섬과 야자수"),
}
PARTICLES = {"이": ("이", "가"), "을": ("을", "를")}


class Noun(str):
    """Text that takes its particle by whether its last syllable ends in a consonant."""

    def __format__(self, particle: str) -> str:
        if not particle:
            return str(self)
        closed = (ord(self[-1]) - 0xAC00) % 28 != 0
        return self + PARTICLES[particle][0 if closed else 1]


def name_thing(thing: Thing, rng: Random) -> Noun:
    words = [rng.choice(SIZES[thing.size])] if thing.size in SIZES else []
    if thing.texture in TEXTURES:
        words.append(rng.choice(TEXTURES[thing.texture]))
    words += [rng.choice(COLOURS[thing.colour]), rng.choice(SHAPES[thing.shape])]
    return Noun(" ".join(words))


def describe(spec: Spec, rng: Random) -> str:
    if isinstance(spec, Scene):
        phrase = describe_scene(spec, rng)
    else:
        phrase = describe_composition(spec, rng)
    if phrase.endswith("다"):
        return phrase
    return rng.choice(FRAMES).format(x=Noun(phrase))


def describe_composition(spec: Composition, rng: Random) -> str:
    names = [name_thing(thing, rng) for thing in spec.things]
    if spec.relation is None:
        phrase = str(names[0])
        if spec.place != "centre" or rng.random() < 0.3:
            phrase = f"{rng.choice(PLACES[spec.place or 'centre'])} {phrase}"
    else:
        pattern = rng.choice(RELATIONS[spec.relation])
        phrase = pattern.format(a=names[0], b=names[1])
    if rng.random() < 0.35:
        phrase = f"{BACKGROUNDS[spec.background]} 배경에 {phrase}"
    return phrase


def describe_scene(spec: Scene, rng: Random) -> str:
    subject = rng.choice(SCENES[spec.name])
    colour = rng.choice(COLOURS[spec.colour]) + " " if spec.colour else ""
    subject = subject.replace("{c} ", colour)
    time = rng.choice(TIMES[spec.time]) if spec.name != "night" else ""
    return " ".join(part for part in (rng.choice(SEASONS[spec.season]), time, subject) if part)
