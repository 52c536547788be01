"""What does every number mean? The words of definitions.md, once, for help texts, legends and tooltips.

`text` quotes the contract; `formula` is written in the names of `schemas.snapshots.Measures` (and of the snapshot
itself), so that a test can compute it. Refuses to compute anything itself.
"""

from msgspec import Struct


class Definition(Struct, frozen=True, kw_only=True):
    """One measure: what people call it, its unit, what it means. `short_*` fits above a column."""

    name: str
    label_en: str
    label_ja: str
    unit: str
    text: str
    text_ja: str = ""
    formula: str = ""
    short_en: str = ""
    short_ja: str = ""

    def label(self, lang: str, *, short: bool = False) -> str:
        """The name for people, in Japanese or English."""
        if lang == "ja":
            return (short and self.short_ja) or self.label_ja
        return (short and self.short_en) or self.label_en

    def sentence(self, lang: str = "en") -> str:
        """The definition, in Japanese where there is one."""
        return (lang == "ja" and self.text_ja) or self.text


def _of(
    name: str,
    unit: str,
    en: tuple[str, str],
    ja: tuple[str, str],
    text: str,
    formula: str = "",
    text_ja: str = "",
) -> Definition:
    return Definition(
        name=name, unit=unit, label_en=en[0], short_en=en[1], label_ja=ja[0], short_ja=ja[1],
        text=text, text_ja=text_ja, formula=formula,
    )  # fmt: skip


_NOW = (
    _of("waiting", "contacts", ("queue length", "Wait"), ("待ち呼", "待ち呼"), "segments waiting now",
        text_ja="いま待っている件数"),
    _of("at_risk", "contacts", ("at risk", "Past"), ("目標超過", "超過"),
        "contacts still waiting with wait > X now", text_ja="いま待っていて、すでに目標時間を過ぎた件数"),
    _of("longest_wait", "seconds", ("longest wait", "Longest"), ("最長待ち時間", "最長待ち"),
        "age of the oldest waiting segment now; exported as the timestamp it queued at",
        text_ja="いま最も長く待っている件の待ち時間"),
    _of("in_service", "contacts", ("contacts in service", "Serving"), ("対応中の件数", "対応中"),
        "contacts being handled by an agent now", text_ja="いまオペレーターが対応している件数"),
    _of("agents", "agents", ("agents", "Agents"), ("オペレーター", "人数"),
        "an agent who serves several queues appears in each and once in the site's total"),
    _of("trend", "contacts", ("queue length, last 30 min", "Last 30 min"), ("待ち呼の推移(30分)", "30分の推移"),
        "queue length at each of the last 30 full minutes"),
)  # fmt: skip

_STATES = (
    _of("available", "agents", ("available", "Avail"), ("受付可", "受付可"),
        "agents ready for the next contact"),
    _of("busy", "agents", ("busy", "Busy"), ("応対中", "応対中"), "agents with at least one contact in hand"),
    _of("wrap_up", "agents", ("wrap-up", "Wrap"), ("後処理", "後処理"), "agents in after-contact work (ACW)"),
    _of("break", "agents", ("break", "Break"), ("休憩", "休憩"),
        "agents on a break: in no occupancy and no staffed hour"),
    _of("offline", "agents", ("offline", "Off"), ("ログアウト", "退席"), "agents signed off"),
    _of("lost", "agents", ("no sign", "Lost"), ("応答なし", "不明"),
        "agents with no sign of life for a configurable time: lost, not available for ever"),
)  # fmt: skip

_SEGMENT = "one visit of a contact to one queue"
_COUNTS = (
    _of("offered", "contacts", ("offered", "Offered"), ("着信数", "着信"),
        f"segments that started; a segment is {_SEGMENT}. "
        "offered = answered + abandoned + callback + overflowed + lost + still waiting"),
    _of("answered", "contacts", ("answered", "Answered"), ("応答数", "応答"),
        "segments whose outcome is answered"),
    _of("answered_in_x", "contacts", ("answered in X", "In X"), ("目標内応答数", "目標内"),
        "answered with wait <= X, the queue's service-level threshold in seconds, inclusive"),
    _of("abandoned", "contacts", ("abandoned", "Aband."), ("放棄呼数", "放棄"),
        "segments whose outcome is abandoned"),
    _of("abandoned_in_x", "contacts", ("abandoned in X", ""), ("目標内放棄数", ""),
        "abandoned with wait <= X"),
    _of("abandoned_short", "contacts", ("short abandons", ""), ("短時間放棄数", ""),
        "abandoned with wait <= the queue's short-abandon threshold"),
    _of("silent_abandoned", "contacts", ("silent abandons", ""), ("無言離脱数", ""),
        "customer's last message unanswered and no customer activity for N minutes (N per queue, default 5): "
        "reported apart, never inside abandoned"),
    _of("callback", "contacts", ("callbacks", ""), ("折り返し依頼数", ""), "customer asked for a call back"),
    _of("callback_in_x", "contacts", ("callbacks in X", ""), ("目標内折り返し依頼数", ""),
        "customer asked for a call back with wait <= X"),
    _of("overflowed", "contacts", ("overflowed", ""), ("あふれ呼数", ""),
        "timeout, key press, redirected, queue closed: the system took the contact out of the queue unanswered"),
    _of("lost_contacts", "contacts", ("lost", ""), ("消失数", ""),
        "no event for longer than the reaper's limit"),
    _of("transferred_in", "contacts", ("transferred in", ""), ("転送受け", ""),
        "segments that a transfer started; a transfer or requeue starts a new segment of the same contact"),
    _of("transferred_out", "contacts", ("transferred out", ""), ("転送", ""),
        "segments that ended in a transfer; a transfer or requeue starts a new segment of the same contact"),
    _of("declined", "contacts", ("declined", ""), ("不応答", ""), "rung at an agent and not taken"),
    _of("handled", "contacts", ("handled", ""), ("処理完了数", ""), "segments whose handling is complete"),
)  # fmt: skip

_SUMS = (
    _of("answered_wait_s", "seconds", ("wait of answered", ""), ("応答分の待ち時間計", ""),
        "sum of wait of answered"),
    _of("abandoned_wait_s", "seconds", ("wait of abandoned", ""), ("放棄分の待ち時間計", ""),
        "sum of wait of abandoned"),
    _of("talk_s", "seconds", ("talk", ""), ("通話時間計", ""), "sum of talk"),
    _of("hold_sum_s", "seconds", ("hold", ""), ("保留時間計", ""), "sum of hold"),
    _of("wrap_up_s", "seconds", ("wrap-up", ""), ("後処理時間計", ""),
        "sum of wrap-up; wrap-up counts when it ends"),
)  # fmt: skip

_BOTH = "answered + abandoned"
SERVICE_LEVEL_DEFINITIONS = (
    _of("sl_offered", "ratio", ("service level (offered)", "SL"), ("サービスレベル(全放棄込み)", "SL"),
        "answered_in_x / (answered + abandoned): strictest; Genesys with every abandon counted, Cisco negative",
        f"answered_in_x / ({_BOTH})", "目標時間内の応答 ÷ (応答 + 放棄)"),
    _of("sl_short_out", "ratio", ("service level (short abandons out)", ""), ("サービスレベル(短時間放棄除く)", ""),
        "answered_in_x / (answered + abandoned - abandoned_short): Twilio, RingCentral, Genesys without short abandons",
        f"answered_in_x / ({_BOTH} - abandoned_short)", "目標時間内の応答 ÷ (応答 + 放棄 - 短時間放棄)"),
    _of("sl_abandoned_late", "ratio", ("service level (late abandons)", ""), ("サービスレベル(目標内放棄除く)", ""),
        "answered_in_x / (answered + abandoned - abandoned_in_x): Bright Pattern, CxEngage",
        f"answered_in_x / ({_BOTH} - abandoned_in_x)", "目標時間内の応答 ÷ (応答 + 目標超過の放棄)"),
    _of("sl_removed", "ratio", ("service level (removed)", ""), ("サービスレベル(離脱込み)", ""),
        "(answered_in_x + abandoned_in_x + callback_in_x) / (answered + abandoned + callback): "
        "Amazon Connect, Talkdesk, Asterisk ServicelevelPerf2",
        "(answered_in_x + abandoned_in_x + callback_in_x) / (answered + abandoned + callback)",
        "目標時間内の(応答 + 放棄 + 折り返し) ÷ (応答 + 放棄 + 折り返し)"),
    _of("sl_answered", "ratio", ("service level (answered)", ""), ("サービスレベル(応答のみ)", ""),
        "answered_in_x / answered: Asterisk ServicelevelPerf, Wazo, VICIdial", "answered_in_x / answered",
        "目標時間内の応答 ÷ 応答"),
    _of("sl_live", "ratio", ("service level (live)", ""), ("サービスレベル(即時)", ""),
        "answered_in_x / (answered + abandoned + waiting past X): counts contacts at the second they miss the target, "
        "not when they hang up", f"answered_in_x / ({_BOTH} + at_risk)",
        "目標時間内の応答 ÷ (応答 + 放棄 + 目標を過ぎて待機中)"),
)  # fmt: skip

_QUOTIENTS = (
    _of("asa_s", "seconds", ("average speed of answer", "ASA"), ("平均応答速度(ASA)", "ASA"),
        "sum of wait of answered / answered. Ring time is included (the customer waits through it)",
        "answered_wait_s / answered", "応答までの平均待ち時間(呼出時間を含む)"),
    _of("abandonment_rate", "ratio", ("abandonment rate", "Aband.%"), ("放棄呼率", "放棄率"),
        "abandoned / (answered + abandoned)", f"abandoned / ({_BOTH})", "放棄 ÷ (応答 + 放棄)"),
    _of("abandonment_rate_short_out", "ratio", ("abandonment rate, short out", ""), ("放棄呼率(短時間放棄除く)", ""),
        "abandonment rate with short abandons left out of both",
        f"(abandoned - abandoned_short) / ({_BOTH} - abandoned_short)"),
    _of("answer_rate", "ratio", ("answer rate", "Ans.%"), ("応答率", "応答率"),
        "answered / offered with a known outcome",
        "answered / (answered + abandoned + callback + overflowed)", "応答 ÷ 結果のわかった着信"),
    _of("transfer_rate", "ratio", ("transfer rate", ""), ("転送率", ""), "transferred_out / answered",
        "transferred_out / answered"),
    _of("att_s", "seconds", ("average talk time", "ATT"), ("平均通話時間(ATT)", "ATT"),
        "sum of talk / handled",
        "talk_s / handled"),
    _of("hold_s", "seconds", ("average hold", "Hold"), ("平均保留時間", "保留"), "sum of hold / handled",
        "hold_sum_s / handled"),
    _of("acw_s", "seconds", ("after-contact work", "ACW"), ("平均後処理時間(ACW)", "ACW"),
        "sum of wrap-up / handled",
        "wrap_up_s / handled"),
    _of("aht_s", "seconds", ("average handling time", "AHT"), ("平均処理時間(AHT)", "AHT"),
        "(talk + hold + wrap-up) / handled; wrap-up counts when it ends, AHT is final then",
        "(talk_s + hold_sum_s + wrap_up_s) / handled", "(通話 + 保留 + 後処理) ÷ 処理完了数"),
    _of("first_response_s", "seconds", ("first response time", ""), ("初回応答時間", ""),
        "first agent message - first customer message after queueing"),
    _of("occupancy", "ratio", ("occupancy", "Occup."), ("稼働率", "稼働率"),
        "time with at least one contact or in wrap-up / (that + available time); breaks are in neither",
        "busy_s / (busy_s + available_s)", "対応・後処理の時間 ÷ (その時間 + 受付可の時間)。休憩は含まない"),
    _of("concurrency", "contacts", ("concurrency", "Conc."), ("同時対応数", "同時"),
        "mean contacts at once while busy"),
    _of("cph", "contacts per hour", ("contacts per hour", "CPH"), ("時間あたり処理数(CPH)", "CPH"),
        "handled / staffed hour (staffed = available + busy + wrap-up)",
        "handled / ((busy_s + available_s) / 3600)"),
)  # fmt: skip

_PROMISES = (
    _of("answer_within_s", "seconds", ("X", "X"), ("目標時間", "目標"),
        "X: the queue's service-level threshold in seconds, inclusive (wait <= X)"),
    _of("target", "ratio", ("service-level target", "Target"), ("サービスレベル目標", "目標"),
        "the share of contacts to be answered within X, per queue (default 80 %)"),
    _of("n", "contacts", ("n", "n"), ("n", "n"),
        "the denominator. With n = 0 the ratio does not exist: it is shown as -, never 0 % and never 100 %"),
)  # fmt: skip

_TRUTH = (
    _of("newest_event", "seconds", ("newest event", "newest"), ("最新イベント", "最新"),
        "age of the newest event per source"),
    _of("events", "events", ("events", "events"), ("イベント", "イベント"), "events understood"),
    _of("duplicates", "events", ("duplicates", "dup"), ("重複", "重複"),
        "events that said nothing new: the numbers do not depend on repetition"),
    _of("corrected", "events", ("corrected", "corrected"), ("訂正", "訂正"),
        "events that came out of order and corrected what was counted: the numbers do not depend on order"),
    _of("unmatched", "events", ("unmatched", "unmatched"), ("不整合", "不整合"),
        "events that fit no known visit of their contact"),
    _of("late_dropped", "events", ("late", "late"), ("遅延破棄", "遅延"),
        "events later than the panes are kept (default 26 h): counted in late_dropped and nothing else"),
    _of("ignored", "events", ("ignored", "ignored"), ("対象外", "対象外"),
        "events of an unknown type, counted and skipped"),
    _of("undecodable", "events", ("undecodable", "undecodable"), ("解読不能", "不能"),
        "records that could not be used, by reason; they are in the dead letters"),
    _of("lag", "events", ("lag", "lag"), ("未処理", "未処理"),
        "messages in Kafka that were not processed yet"),
)  # fmt: skip

DEFINITIONS: dict[str, Definition] = {
    each.name: each
    for each in (
        *_NOW, *_STATES, *_COUNTS, *_SUMS, *SERVICE_LEVEL_DEFINITIONS, *_QUOTIENTS, *_PROMISES, *_TRUTH
    )
}  # fmt: skip
"""Every measure by name. Names are those of `Measures`; "lost" is the agents' state, "lost_contacts" the outcome."""
