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
        text_ja="いま最も長く待っている件の待ち時間。キューに入った時刻として出力する"),
    _of("expected_wait_s", "seconds", ("expected wait", "EWT"), ("予想待ち時間", "予想待ち"),
        "wait to expect of a contact joining now: the sum of 1 / (s mu + j theta) over j = 0..Q with Q waiting, "
        "s agents serving the queue, mu = 1 / AHT (times concurrency), theta = abandoned per waiting second, both of "
        "the last hour; 0 while more agents are available than contacts wait; the longest wait when AHT or staffing is "
        "unknown",
        text_ja="いま入った件の予想待ち時間。待ち Q 件、担当 s 人、直近1時間の平均処理時間と放棄の早さから、"
                "1 ÷ (s μ + j θ) を j = 0..Q で合計する。受付可の人数が待ちより多い間は 0、"
                "平均処理時間か人数がわからないときは最長待ち時間"),
    _of("callbacks_open", "contacts", ("open callbacks", "Callbacks"), ("折り返し待ち", "折返し待ち"),
        "callbacks promised and not yet made: the same contact has not entered a queue again (for as long as contacts "
        "are remembered)",
        text_ja="折り返しを約束し、まだかけていない件数。同じ件がまだキューに入り直していないもの(記憶している間)"),
    _of("oldest_callback_ms", "seconds", ("oldest open callback", ""), ("最も古い折り返し待ち", ""),
        "age of the oldest callback promised and not yet made; exported as the timestamp it was promised at",
        text_ja="折り返しを約束してまだかけていない件のうち、最も古いものの経過時間"),
    _of("in_service", "contacts", ("contacts in service", "Serving"), ("対応中の件数", "対応中"),
        "contacts being handled by an agent now", text_ja="いまオペレーターが対応している件数"),
    _of("agents", "agents", ("agents", "Agents"), ("オペレーター数", "人数"),
        "an agent who serves several queues appears in each and once in the site's total",
        text_ja="複数のキューを担当するオペレーターは各キューに現れ、センター全体の合計では1人と数える"),
    _of("trend", "contacts", ("queue length, last 30 min", "Last 30 min"), ("待ち呼の推移(30分)", "30分の推移"),
        "queue length at each of the last 30 full minutes",
        text_ja="直近30分間の毎分0秒時点の待ち呼"),
)  # fmt: skip

_STATES = (
    _of("available", "agents", ("available", "Avail"), ("受付可", "受付可"),
        "agents ready for the next contact",
        text_ja="次の件を受けられるオペレーター数"),
    _of("busy", "agents", ("busy", "Busy"), ("応対中", "応対中"), "agents with at least one contact in hand",
        text_ja="1件以上を応対中のオペレーター数"),
    _of("wrap_up", "agents", ("wrap-up", "Wrap"), ("後処理", "後処理"), "agents in after-contact work (ACW)",
        text_ja="後処理(ACW)中のオペレーター数"),
    _of("break", "agents", ("break", "Break"), ("休憩", "休憩"),
        "agents on a break: in no occupancy and no staffed hour",
        text_ja="休憩中のオペレーター数。稼働率にも実働時間にも含まない"),
    _of("offline", "agents", ("offline", "Off"), ("ログアウト", "ログアウト"), "agents signed off",
        text_ja="ログアウトしているオペレーター数"),
    _of("lost", "agents", ("no sign", "Lost"), ("状態不明", "不明"),
        "agents with no sign of life for a configurable time: lost, not available for ever",
        text_ja="設定した時間を過ぎても何の信号も届かないオペレーター数。受付可のままにせず、状態不明とする"),
)  # fmt: skip

_SEGMENT = "one visit of a contact to one queue"
_COUNTS = (
    _of("offered", "contacts", ("offered", "Offered"), ("着信数", "着信"),
        f"segments that started; a segment is {_SEGMENT}. "
        "offered = answered + abandoned + callback + overflowed + lost + still waiting",
        text_ja="始まったセグメント数。1件が1つのキューに入るごとに1セグメントとする。"
                "着信 = 応答 + 放棄 + 折り返し + あふれ + 消失 + まだ待っている件"),
    _of("answered", "contacts", ("answered", "Answered"), ("応答数", "応答"),
        "segments whose outcome is answered",
        text_ja="結果が応答のセグメント数"),
    _of("answered_in_x", "contacts", ("answered in X", "In X"), ("目標内応答数", "目標内"),
        "answered with wait <= X, the queue's service-level threshold in seconds, inclusive",
        text_ja="待ち時間が目標時間以内の応答数。目標時間はキューごとのサービスレベルの基準秒数(ちょうどを含む)"),
    _of("abandoned", "contacts", ("abandoned", "Aband."), ("放棄呼数", "放棄"),
        "segments whose outcome is abandoned",
        text_ja="結果が放棄のセグメント数"),
    _of("abandoned_in_x", "contacts", ("abandoned in X", ""), ("目標内放棄数", ""),
        "abandoned with wait <= X",
        text_ja="待ち時間が目標時間以内の放棄数"),
    _of("abandoned_short", "contacts", ("short abandons", ""), ("短時間放棄数", ""),
        "abandoned with wait <= the queue's short-abandon threshold",
        text_ja="待ち時間がキューごとの短時間放棄の基準秒数以内の放棄数"),
    _of("silent_abandoned", "contacts", ("silent abandons", ""), ("無言離脱数", ""),
        "customer's last message unanswered and no customer activity for N minutes (N per queue, default 5): "
        "reported apart, never inside abandoned",
        text_ja="お客様の最後のメッセージに返信がなく、お客様の動きもN分間ない件数(Nはキューごと、既定5分)。"
                "放棄数には含めず別に示す"),
    _of("callback", "contacts", ("callbacks", ""), ("折り返し依頼数", ""), "customer asked for a call back",
        text_ja="お客様が折り返しを依頼した件数"),
    _of("callback_in_x", "contacts", ("callbacks in X", ""), ("目標内折り返し依頼数", ""),
        "customer asked for a call back with wait <= X",
        text_ja="お客様が目標時間以内の待ち時間で折り返しを依頼した件数"),
    _of("overflowed", "contacts", ("overflowed", ""), ("あふれ呼数", ""),
        "timeout, key press, redirected, queue closed: the system took the contact out of the queue unanswered",
        text_ja="時間切れ、キー操作、他への振り替え、キューの受付終了により、未応答のままシステムがキューから外した件数"),
    _of("lost_contacts", "contacts", ("lost", ""), ("消失数", ""),
        "no event for longer than the reaper's limit",
        text_ja="消失とみなす時間を超えてイベントがない件数"),
    _of("transferred_in", "contacts", ("transferred in", ""), ("転送着信数", ""),
        "segments that a transfer started; a transfer or requeue starts a new segment of the same contact",
        text_ja="転送で始まったセグメント数。転送やキューへの入れ直しで、同じ件の新しいセグメントが始まる"),
    _of("transferred_out", "contacts", ("transferred out", ""), ("転送数", ""),
        "segments that ended in a transfer; a transfer or requeue starts a new segment of the same contact",
        text_ja="転送で終わったセグメント数。転送やキューへの入れ直しで、同じ件の新しいセグメントが始まる"),
    _of("declined", "contacts", ("declined", ""), ("不応答数", ""), "rung at an agent and not taken",
        text_ja="オペレーターを呼び出したが、取られなかった件数"),
    _of("handled", "contacts", ("handled", ""), ("処理完了数", ""), "segments whose handling is complete",
        text_ja="処理が完了したセグメント数"),
)  # fmt: skip

_SUMS = (
    _of("answered_wait_s", "seconds", ("wait of answered", ""), ("応答分の待ち時間計", ""),
        "sum of wait of answered",
        text_ja="応答した件の待ち時間の合計"),
    _of("abandoned_wait_s", "seconds", ("wait of abandoned", ""), ("放棄分の待ち時間計", ""),
        "sum of wait of abandoned",
        text_ja="放棄された件の待ち時間の合計"),
    _of("first_response_sum_s", "seconds", ("first response", ""), ("初回応答時間計", ""),
        "sum of first response times: first agent message - first customer message after queueing",
        text_ja="初回応答時間の合計"),
    _of("first_responses", "contacts", ("first responses", ""), ("初回応答数", ""),
        "chats in which an agent wrote for the first time", text_ja="オペレーターが初めて返信したチャットの件数"),
    _of("first_responses_in_x", "contacts", ("first responses in X", ""), ("目標内初回応答数", ""),
        "first responses within X", text_ja="目標時間以内の初回応答数"),
    _of("busy_s", "seconds", ("busy time", ""), ("応対時間計", ""),
        "agents' time with at least one contact in hand or in wrap-up",
        text_ja="オペレーターが1件以上を応対中、または後処理中だった時間の合計"),
    _of("available_s", "seconds", ("available time", ""), ("受付可時間計", ""),
        "agents' time ready for the next contact",
        text_ja="オペレーターが次の件を受けられた時間の合計"),
    _of("wrapping_s", "seconds", ("wrap-up time of agents", ""), ("後処理時間計(在席)", ""),
        "agents' time in the state wrap-up, part of their busy time",
        text_ja="オペレーターが後処理の状態にあった時間の合計。応対時間に含まれる"),
    _of("talk_s", "seconds", ("talk", ""), ("通話時間計", ""), "sum of talk",
        text_ja="通話時間の合計"),
    _of("hold_sum_s", "seconds", ("hold", ""), ("保留時間計", ""), "sum of hold",
        text_ja="保留時間の合計"),
    _of("wrap_up_s", "seconds", ("wrap-up", ""), ("後処理時間計", ""),
        "sum of wrap-up; wrap-up counts when it ends",
        text_ja="後処理時間の合計。後処理は終わった時点で数える"),
)  # fmt: skip

_BOTH = "answered + abandoned"
SERVICE_LEVEL_DEFINITIONS = (
    _of("sl_offered", "ratio", ("service level (offered)", "SL"), ("サービスレベル(全放棄込み)", "SL"),
        "answered_in_x / (answered + abandoned): strictest; Genesys with every abandon counted, Cisco negative",
        f"answered_in_x / ({_BOTH})",
        "目標時間内の応答 ÷ (応答 + 放棄)。最も厳しい数え方。放棄をすべて数えるGenesys、Ciscoのnegativeと同じ"),
    _of("sl_short_out", "ratio", ("service level (short abandons out)", ""), ("サービスレベル(短時間放棄除く)", ""),
        "answered_in_x / (answered + abandoned - abandoned_short): Twilio, RingCentral, Genesys without short abandons",
        f"answered_in_x / ({_BOTH} - abandoned_short)",
        "目標時間内の応答 ÷ (応答 + 放棄 - 短時間放棄)。Twilio、RingCentral、短時間放棄を除くGenesysと同じ"),
    _of("sl_abandoned_late", "ratio", ("service level (late abandons)", ""), ("サービスレベル(目標内放棄除く)", ""),
        "answered_in_x / (answered + abandoned - abandoned_in_x): Bright Pattern, CxEngage",
        f"answered_in_x / ({_BOTH} - abandoned_in_x)",
        "目標時間内の応答 ÷ (応答 + 放棄 - 目標時間内の放棄)。Bright Pattern、CxEngageと同じ"),
    _of("sl_removed", "ratio", ("service level (removed)", ""), ("サービスレベル(離脱込み)", ""),
        "(answered_in_x + abandoned_in_x + callback_in_x) / (answered + abandoned + callback): "
        "Amazon Connect, Talkdesk, Asterisk ServicelevelPerf2",
        "(answered_in_x + abandoned_in_x + callback_in_x) / (answered + abandoned + callback)",
        "目標時間内の(応答 + 放棄 + 折り返し) ÷ (応答 + 放棄 + 折り返し)。"
        "Amazon Connect、Talkdesk、AsteriskのServicelevelPerf2と同じ"),
    _of("sl_answered", "ratio", ("service level (answered)", ""), ("サービスレベル(応答のみ)", ""),
        "answered_in_x / answered: Asterisk ServicelevelPerf, Wazo, VICIdial", "answered_in_x / answered",
        "目標時間内の応答 ÷ 応答。AsteriskのServicelevelPerf、Wazo、VICIdialと同じ"),
    _of("sl_live", "ratio", ("service level (live)", ""), ("サービスレベル(リアルタイム)", ""),
        "answered_in_x / (answered + abandoned + waiting past X): counts contacts at the second they miss the target, "
        "not when they hang up", f"answered_in_x / ({_BOTH} + at_risk)",
        "目標時間内の応答 ÷ (応答 + 放棄 + 目標を過ぎて待機中)。"
        "切られた時ではなく、目標時間を過ぎた瞬間に未達と数える"),
)  # fmt: skip

_QUOTIENTS = (
    _of("asa_s", "seconds", ("average speed of answer", "ASA"), ("平均応答速度(ASA)", "ASA"),
        "sum of wait of answered / answered. Ring time is included (the customer waits through it)",
        "answered_wait_s / answered", "応答した件の待ち時間の合計 ÷ 応答。お客様が待つ呼出時間を含む"),
    _of("abandonment_rate", "ratio", ("abandonment rate", "Aband.%"), ("放棄呼率", "放棄率"),
        "abandoned / (answered + abandoned)", f"abandoned / ({_BOTH})", "放棄 ÷ (応答 + 放棄)"),
    _of("abandonment_rate_short_out", "ratio", ("abandonment rate, short out", ""), ("放棄呼率(短時間放棄除く)", ""),
        "abandonment rate with short abandons left out of both",
        f"(abandoned - abandoned_short) / ({_BOTH} - abandoned_short)",
        text_ja="短時間放棄を分子と分母の両方から除いた放棄呼率"),
    _of("answer_rate", "ratio", ("answer rate", "Ans.%"), ("応答率", "応答率"),
        "answered / offered with a known outcome",
        "answered / (answered + abandoned + callback + overflowed)", "応答 ÷ 結果のわかった着信"),
    _of("transfer_rate", "ratio", ("transfer rate", ""), ("転送率", ""), "transferred_out / answered",
        "transferred_out / answered",
        text_ja="転送 ÷ 応答"),
    _of("att_s", "seconds", ("average talk time", "ATT"), ("平均通話時間(ATT)", "ATT"),
        "sum of talk / handled",
        "talk_s / handled",
        text_ja="通話時間の合計 ÷ 処理完了数"),
    _of("hold_s", "seconds", ("average hold", "Hold"), ("平均保留時間", "保留"), "sum of hold / handled",
        "hold_sum_s / handled",
        text_ja="保留時間の合計 ÷ 処理完了数"),
    _of("acw_s", "seconds", ("after-contact work", "ACW"), ("平均後処理時間(ACW)", "ACW"),
        "sum of wrap-up / handled",
        "wrap_up_s / handled",
        text_ja="後処理時間の合計 ÷ 処理完了数"),
    _of("aht_s", "seconds", ("average handling time", "AHT"), ("平均処理時間(AHT)", "AHT"),
        "(talk + hold + wrap-up) / handled; wrap-up counts when it ends, AHT is final then",
        "(talk_s + hold_sum_s + wrap_up_s) / handled",
        "(通話 + 保留 + 後処理) ÷ 処理完了数。後処理は終わった時点で数え、AHTはその時に確定する"),
    _of("first_response_s", "seconds", ("first response time", ""), ("初回応答時間", ""),
        "first agent message - first customer message after queueing",
        text_ja="キューに入った後のお客様の最初のメッセージから、オペレーターの最初のメッセージまでの時間"),
    _of("occupancy", "ratio", ("occupancy", "Occup."), ("稼働率", "稼働率"),
        "time with at least one contact or in wrap-up / (that + available time); breaks are in neither",
        "busy_s / (busy_s + available_s)",
        "1件以上の応対中または後処理の時間 ÷ (その時間 + 受付可の時間)。休憩はどちらにも含まない"),
    _of("concurrency", "contacts", ("concurrency", "Conc."), ("同時対応数", "同時"),
        "mean contacts at once while busy",
        text_ja="応対中に同時に受け持つ件数の平均"),
    _of("cph", "contacts per hour", ("contacts per hour", "CPH"), ("時間あたり処理数(CPH)", "CPH"),
        "handled / staffed hour (staffed = available + busy + wrap-up)",
        "handled / ((busy_s + available_s) / 3600)",
        text_ja="実働1時間あたりの処理完了数(実働 = 受付可 + 応対中 + 後処理)"),
)  # fmt: skip

_PROMISES = (
    _of("answer_within_s", "seconds", ("X", "X"), ("目標時間", "目標"),
        "X: the queue's service-level threshold in seconds, inclusive (wait <= X)",
        text_ja="X: キューごとのサービスレベルの基準秒数。ちょうどを含む(待ち時間 ≦ X)"),
    _of("target", "ratio", ("service-level target", "Target"), ("サービスレベル目標", "目標"),
        "the share of contacts to be answered within X, per queue (default 80 %)",
        text_ja="目標時間以内に応答すべき件の割合。キューごと(既定80%)"),
    _of("n", "contacts", ("n", "n"), ("分母(n)", "n"),
        "the denominator. With n = 0 the ratio does not exist: it is shown as -, never 0 % and never 100 %",
        text_ja="分母。n = 0 なら比率は存在しない。「-」と示し、0%とも100%とも示さない"),
)  # fmt: skip

_TRUTH = (
    _of("newest_event", "seconds", ("newest event", "newest"), ("最新イベント", "最新"),
        "age of the newest event per source",
        text_ja="ソースごとの、最新イベントからの経過時間"),
    _of("events", "events", ("events", "events"), ("イベント", "イベント"), "events understood",
        text_ja="内容を解釈できたイベント数"),
    _of("duplicates", "events", ("duplicates", "dup"), ("重複", "重複"),
        "events that said nothing new: the numbers do not depend on repetition",
        text_ja="新しい内容のないイベント数。繰り返し届いても数値は変わらない"),
    _of("corrected", "events", ("corrected", "corrected"), ("訂正", "訂正"),
        "events that came out of order and corrected what was counted: the numbers do not depend on order",
        text_ja="順序が前後して届き、集計済みの値を訂正したイベント数。届く順序が違っても数値は変わらない"),
    _of("unmatched", "events", ("unmatched", "unmatched"), ("不整合", "不整合"),
        "events that fit no known visit of their contact",
        text_ja="その件の既知のセグメントのどれにも合わないイベント数"),
    _of("late_dropped", "events", ("late", "late"), ("遅延破棄", "遅延"),
        "events later than the panes are kept (default 26 h): counted in late_dropped and nothing else",
        text_ja="集計枠の保持期間(既定26時間)より遅れたイベント数。遅延破棄(late_dropped)にだけ数える"),
    _of("ignored", "events", ("ignored", "ignored"), ("対象外", "対象外"),
        "events of an unknown type, counted and skipped",
        text_ja="種類が不明なイベント数。数えたうえで読み飛ばす"),
    _of("undecodable", "events", ("undecodable", "undecodable"), ("解読不能", "解読不能"),
        "records that could not be used, by reason; they are in the dead letters",
        text_ja="使えなかったレコード数(理由別)。デッドレターにある"),
    _of("lag", "events", ("lag", "lag"), ("未処理", "未処理"),
        "messages in Kafka that were not processed yet",
        text_ja="Kafkaにある未処理のメッセージ数"),
)  # fmt: skip

_WEB = (
    _of("web_sessions", "sessions", ("web sessions", "Sessions"), ("セッション数", "セッション"),
        "visits of the web site that began this business day; 30 min without an event end one",
        text_ja="本日始まったウェブサイトの訪問数。30分間イベントがなければ終わる"),
    _of("contacted_share", "ratio", ("sessions before a contact", "Contacted"),
        ("問い合わせに至った割合", "問い合わせ"),
        "sessions that a contact of the same customer followed within T (default 30 min) / sessions whose outcome is "
        "known; older days weigh less",
        text_ja="T(既定30分)以内に同じお客様の問い合わせが続いたセッション ÷ 結果のわかったセッション。"
                "古い日ほど軽く数える"),
    _of("contact_rate", "ratio", ("contact rate of a page", "Rate"), ("ページの問い合わせ率", "問い合わせ率"),
        "visits of the page that a contact followed within T / visits whose outcome is known, shrunk to the base rate "
        "where there are few; older days weigh less",
        text_ja="T以内に問い合わせが続いたページ訪問 ÷ 結果のわかった訪問。"
                "件数が少ないときはサイトの基準に寄せる。古い日ほど軽く数える"),
    _of("base_rate", "ratio", ("base rate of the site", "Base"), ("サイトの基準率", "基準"),
        "the same over all visits of content and help pages: what any page has by chance",
        text_ja="通常ページとヘルプページすべての訪問で求めた問い合わせ率。どのページにも偶然ある分"),
    _of("lift", "times", ("lift", "Lift"), ("リフト", "リフト"),
        "contact rate of the page / base rate of the site. A page precedes contacts when the lower end of its 95 % "
        "interval is beyond the limit of the settings and enough visits are known",
        text_ja="ページの問い合わせ率 ÷ サイトの基準率。"
                "95%区間の下端が設定値を超え、訪問数が足りるとき「問い合わせの前」とする"),
    _of("lead_time", "seconds", ("lead time", "Lead"), ("問い合わせまでの時間", "時間"),
        "from the last activity on the page to the contact that followed: the median",
        text_ja="ページでの最後の動きから、続いた問い合わせまでの時間の中央値"),
    _of("page_verdict", "verdict", ("verdict on a page", "Verdict"), ("ページの判定", "判定"),
        "precedes: contacts follow beyond chance, and not by another page's doing; announces: beyond chance, but "
        "because of the pages before; contact: a page that says how to contact; none: no more than chance; unsure: "
        "too few visits",
        text_ja="問い合わせの前: 偶然を超えて問い合わせが続き、他のページのせいではない。通過点: 前のページのため。"
                "問い合わせページ: 連絡方法のページ。差なし: 偶然の範囲。不明: 訪問が少ない"),
    _of("stuck", "visitors", ("stuck visitors", "Stuck"), ("困っている訪問者", "困っている"),
        "visitors on the site now whose probability of a contact within T reached the threshold of the settings, until "
        "they get on, contact or leave",
        text_ja="T以内に問い合わせる確率が設定値に達した、いまサイトにいる訪問者。先へ進む、問い合わせる、離れるまで数える"),
    _of("holdout", "visitors", ("holdout", "Holdout"), ("対照群", "対照群"),
        "the stuck visitors, a tenth by default and chosen by a stable hash, who are offered nothing: what happens to "
        "them is what would have happened without help",
        text_ja="提案を受けない困っている訪問者(既定は1割、固定のハッシュで選ぶ)。助けがなければどうなったかを示す"),
    _of("offer_effect", "ratio", ("effect of offers", "Effect"), ("提案の効果", "効果"),
        "contact rate of the holdout minus that of visitors with an offer, whether they took it or not, with its 95 % "
        "interval; not shown while 0 is inside",
        text_ja="対照群の問い合わせ率 - 提案した訪問者の問い合わせ率(受けたかどうかによらない)と95%区間。"
                "0を含む間は効果を示さない"),
    _of("avoided", "contacts per day", ("contacts avoided per day", "Avoided"), ("1日に減った問い合わせ", "減少/日"),
        "effect of offers x stuck visitors with an offer per day, with its 95 % interval",
        text_ja="提案の効果 × 1日に提案した訪問者数と、その95%区間"),
    _of("self_resolution", "ratio", ("self-resolution (estimated)", "Self-res."), ("自己解決率(推定)", "自己解決率"),
        "help sessions with no contact by the same customer within T (default 24 h) / help sessions (sessions with at "
        "least one help or FAQ page); an estimate, and called so",
        text_ja="T(既定24時間)以内に同じお客様の問い合わせがないヘルプセッション ÷ ヘルプセッション"
                "(ヘルプやFAQを1ページ以上見たもの)。推定値"),
    _of("silent_leavers", "sessions", ("silent leavers", "Silent"), ("無言の離脱", "無言離脱"),
        "sessions with signs of trouble that ended without progress and without a contact: neither resolved nor "
        "contacted",
        text_ja="困った様子があり、先へ進まず問い合わせもせずに終わったセッション。解決でも問い合わせでもない"),
    _of("channel_switches", "customers", ("channel switches", "Switches"), ("チャネル変更", "チャネル変更"),
        "customers who went on to another channel within 24 h, such as from web to chat to voice",
        text_ja="24時間以内に別のチャネルへ移ったお客様(ウェブからチャット、チャットから電話など)"),
    _of("fcr", "ratio", ("first contact resolution", "FCR"), ("一次解決率(FCR)", "FCR"),
        "handled contacts with no further contact by the same customer (same reason, when known) within D days "
        "(default 7); only of contacts older than D",
        text_ja="D日(既定7日)以内に同じお客様から(わかれば同じ用件で)再度の問い合わせがない対応済みの件の割合。D日より古い件のみ"),
    _of("repeat_share", "ratio", ("repeat rate", "Repeat"), ("再問い合わせ率", "再問い合わせ"),
        "contacts by a customer who contacted within D days / contacts with a known customer",
        text_ja="D日以内にも問い合わせたお客様からの件 ÷ お客様のわかった件"),
)  # fmt: skip

DEFINITIONS: dict[str, Definition] = {
    each.name: each
    for each in (
        *_NOW, *_STATES, *_COUNTS, *_SUMS, *SERVICE_LEVEL_DEFINITIONS, *_QUOTIENTS, *_PROMISES, *_TRUTH, *_WEB
    )
}  # fmt: skip
"""Every measure by name. Names are those of `Measures`, or of the web site; "lost" is the agents' state,
"lost_contacts" the outcome.
"""
