"""What does a believable contact centre look like? Sites with Japanese and English queues, voice and chat.

Refuses to know who calls: only names, teams and promises.
"""

from streams.site import QueuePolicy, Site

_SUBJECTS: tuple[tuple[str, str], ...] = (
    ("注文・配送", "ja"), ("Billing", "en"), ("解約のご相談", "ja"), ("返品・交換", "ja"),
    ("Technical support", "en"), ("料金・お支払い", "ja"), ("新規お申し込み", "ja"), ("Sales", "en"),
    ("技術サポート", "ja"), ("会員登録・ログイン", "ja"), ("Orders & delivery", "en"), ("修理受付", "ja"),
    ("ポイント・キャンペーン", "ja"), ("Returns", "en"), ("法人窓口", "ja"), ("住所変更", "ja"),
    ("Account & login", "en"), ("資料請求", "ja"), ("紛失・盗難", "ja"), ("Complaints", "en"),
)  # fmt: skip
_REGIONS: dict[str, tuple[str, ...]] = {
    "ja": ("", "東日本", "西日本", "北海道", "東北", "中部", "関西", "中国・四国", "九州", "沖縄"),
    "en": ("", "Tokyo", "Osaka", "Premium", "Business", "Nagoya", "Sapporo", "Fukuoka", "Trial", "Partners"),
}
_TEAMS = {"ja": ("東京第一", "東京第二", "札幌", "福岡"), "en": ("Tokyo English", "Okinawa English")}
_CHAT_EVERY = 4
"""Every fourth queue is a chat queue."""


def default_site(queues: int = 8) -> Site:
    """A site in Tokyo with so many queues; some have their own X and target.

    >>> list(default_site(4).queues)
    ['注文・配送', 'Billing', '解約のご相談', '返品・交換 (チャット)']
    """
    policies = dict(_named_policy(number) for number in range(queues))
    return Site(name="Queuelight Tokyo", zone="Asia/Tokyo", queues=policies)


def _named_policy(number: int) -> tuple[str, QueuePolicy]:
    subject, language = _SUBJECTS[number % len(_SUBJECTS)]
    lap = number // len(_SUBJECTS)
    regions = _REGIONS[language]
    region = regions[lap % len(regions)]
    series = "" if lap < len(regions) else f" {lap // len(regions) + 1}"
    name = f"{subject} {region}".strip() + series
    team = _TEAMS[language][number % len(_TEAMS[language])]
    if number % _CHAT_EVERY == _CHAT_EVERY - 1:
        word = "チャット" if language == "ja" else "chat"
        return f"{name} ({word})", _policy(number, "chat", f"{team} {word}")
    return name, _policy(number, "voice", team)


def _policy(number: int, channel: str, team: str) -> QueuePolicy:
    if channel == "chat":
        within_s = 30.0 if number % 16 == 7 else 60.0
        return QueuePolicy(channel="chat", team=team, answer_within_s=within_s, reap_after_s=86400.0)
    match number % 10:
        case 2:
            return QueuePolicy(team=team, answer_within_s=30.0, target=0.85)
        case 4:
            return QueuePolicy(team=team, answer_within_s=45.0, target=0.7, short_abandon_s=10.0)
        case 8:
            return QueuePolicy(team=team, answer_within_s=10.0, target=0.9)
        case _:
            return QueuePolicy(team=team)
