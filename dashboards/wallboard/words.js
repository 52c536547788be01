// What does the page say? What is no measure is here; measures have their words at the server. Knows no numbers.

const TEXTS = {
  en: {
    breach: "breach", at_risk: "at risk", ok: "OK", critical: "critical", warning: "warning", stale: "stale",
    recovered: "recovered", recovered_ago: "recovered {age} ago", acknowledged: "{by}, {at}", acknowledge: "Acknowledge",
    acknowledge_as: "Your name", acknowledged_not: "Not stored. Try again.",
    said_breach: "{queue}: {state}", said_recovered: "{queue}: recovered",
    voice: "voice", chat: "chat", email: "e-mail", form: "form", sns: "SNS", video: "video",
    live: "Live", late: "Late", connecting: "Connecting", data_age: "data {age} old", line_age: "last message {age} ago",
    banner_late: "Numbers are {age} old", banner_stale: "Stale since {at} ({age})", banner_stale_ever: "No numbers",
    why_network: "the wallboard server cannot be reached", why_redis: "Redis does not answer",
    why_worker: "no worker publishes", why_broker: "nothing new comes through Kafka",
    as_of: "As of {at}", more_waiting: "and {n} more",
    banner_some: "{n} of {all} queues are out of date since {at}", no_such_queue: "no queue {queue} was ever published",
    why_access: "this screen is no longer admitted",
    why_crowded: "too many screens or requests from this address; this one tries again by itself",
    why_busy: "the wallboard server cannot take this screen now; it tries again by itself",
    why_host: "the wallboard does not answer to this host name (host_names)",
    why_board: "there is no board of this name", why_nothing: "no worker has published anything yet",
    waiting_for_first: "Connecting to the wallboard …", no_queues: "No queue is to be seen on this board yet.",
    target_note: "{target} in {x}", n_note: "n {n}", last: "last {window}", today: "today",
    "1m": "1 min", "5m": "5 min", "15m": "15 min", "30m": "30 min", "1h": "60 min", day: "today",
    wall: "Wall", desk: "Desk", phone: "Phone", dark: "Dark", light: "Light", sound: "Sound", sound_on: "Sound on",
    full: "Full screen", meaning: "What the numbers mean", close: "Close", tools: "View, language, theme",
    previous: "Previous page", next: "Next page", pause: "Pause", resume: "Resume", page: "{page} / {pages}",
    pages: "Pages of tiles", site: "All queues", truth: "State of the pipeline", business_day: "business day {date}",
    newest: "newest {age} ago", silent: "source {topic} silent for {age}",
    silent_ever: "source {topic}: no event yet", calls: "calls", chats: "chats", presence: "presence",
    filter: "Find a queue", all_states: "All states", needy: "Needs attention", all_channels: "All channels",
    shown: "{n} of {all} queues", state: "State", queue: "Queue", channel: "Channel", queues: "Queues",
    details: "Details of {queue}", no_details: "The details cannot be read now ({why}). The numbers of the board go on.",
    reading: "Reading …", windows: "Windows", intervals: "Intervals of the day", csv: "Download (CSV)",
    basis_event: "counted when it happened", basis_arrival: "counted when it was queued",
    waiting_now: "Waiting now", abandoned_lately: "Abandoned lately", contact: "Contact", since: "since", wait: "waited",
    left: "left", nobody: "Nobody.", unlisted: "No worker has told yet.", measure: "Measure", pseudonyms: "Names of contacts are pseudonyms.", at: "from",
    short_callback: "Callb.", short_silent_abandoned: "Silent", short_first_response_s: "1st resp.", short_lost_contacts: "lost",
    trend_of: "queue length of the last 30 minutes: now {now}, most {most}", definition: "= {formula}",
    alerts: "Alerts", alerts_firing: "Alerts: {n}", alerts_unknown: "Alerts unknown", alerts_none: "No alert fires.",
    alerts_silent: "Alertmanager does not answer. Last heard {at}.", alerts_never: "Alertmanager has not answered yet.",
    alerts_unwatched: "The watchdog alert does not fire: alerts may be missing.", limit: "limit {limit}", since_at: "since {at} ({age})",
    web: "Web", stuck_now: "Stuck now", pages_before: "Pages that precede contacts", offers_by_arm: "Did helping help?",
    web_page: "Page", since_longest: "longest", web_why: "Why", lead_queue: "Queue that could help", offer: "Offer", lift_interval: "95 % interval",
    contact_reasons: "Contacts were about", offer_kind: "Help", arms: "Contact rate by arm", offer_verdict: "Verdict", offer_done: "Offers",
    free_agents: "{n} free", free_unknown: "not known who is free", offer_now: "offer to {n}", offer_withheld: "no offer",
    withheld_for: "{why}: {n}", withheld_holdout: "held out", "withheld_no agent free": "no agent free", "withheld_no offer for this page": "none foreseen here",
    verdict_precedes: "precedes", verdict_announces: "announces", verdict_contact: "contact page", verdict_none: "no more than chance", verdict_unsure: "too few",
    announced_by: "because of {page}", times: "×{n}", interval: "{low} … {high}", arm_offer: "offer", arm_holdout: "holdout",
    effect_helps: "helps", effect_harms: "harms", "effect_not shown": "not shown", shown_accepted: "{shown} shown, {accepted} taken, {declined} declined",
    watched: "of {n} watched", nobody_stuck: "Nobody is stuck.", no_pages: "No page has been viewed yet.", no_offers: "No offers yet: [[journeys.offers]] says what is offered on which pages.",
    other_pages: "{n} more pages, {views} views", all_other_pages: "all other pages", web_age: "report {age} old", web_stale: "Out of date: the report is of {at} ({age} ago)",
    waiting_for_web: "Asking for the web site …", no_web: "No web events yet.", no_web_how: "Put the tracker on the site's pages, and run the collector that it sends to:",
  },
  ja: {
    breach: "未達", at_risk: "注意", ok: "良好", critical: "要対応", warning: "警告", stale: "古い値",
    recovered: "回復", recovered_ago: "{age}前に回復", acknowledged: "{by} {at}", acknowledge: "確認する",
    acknowledge_as: "お名前", acknowledged_not: "保存できませんでした。もう一度お試しください。",
    said_breach: "{queue}: {state}", said_recovered: "{queue}: 回復",
    voice: "音声", chat: "チャット", email: "メール", form: "フォーム", sns: "SNS", video: "ビデオ",
    live: "ライブ", late: "遅延", connecting: "接続中", data_age: "データ {age}前", line_age: "最後の受信 {age}前",
    banner_late: "数値は{age}前のものです", banner_stale: "{at}から更新停止 ({age})", banner_stale_ever: "数値がありません",
    why_network: "ウォールボードのサーバーに接続できません", why_redis: "Redisが応答しません",
    why_worker: "ワーカーが数値を送っていません", why_broker: "Kafkaから新しいデータが届いていません",
    as_of: "{at}現在", more_waiting: "ほか{n}件",
    banner_some: "{all}キュー中{n}キューが{at}から更新停止", no_such_queue: "キュー {queue} の数値はまだありません",
    why_access: "この画面の表示許可がなくなりました",
    why_crowded: "このアドレスからの画面またはリクエストが多すぎます。自動で再試行します",
    why_busy: "ウォールボードのサーバーがこの画面を受け付けられません。自動で再試行します",
    why_host: "このホスト名ではウォールボードを表示できません (host_names)",
    why_board: "この名前のボードはありません", why_nothing: "ワーカーからの数値がまだありません",
    waiting_for_first: "ウォールボードに接続しています…", no_queues: "このボードに表示するキューがまだありません。",
    target_note: "{x}以内{target}", n_note: "n {n}", last: "直近{window}", today: "本日",
    "1m": "1分", "5m": "5分", "15m": "15分", "30m": "30分", "1h": "60分", day: "本日",
    wall: "大画面", desk: "一覧", phone: "スマホ", dark: "暗い", light: "明るい", sound: "音", sound_on: "音あり",
    full: "全画面", meaning: "数値の意味", close: "閉じる", tools: "表示・言語・配色",
    previous: "前のページ", next: "次のページ", pause: "一時停止", resume: "再開", page: "{page} / {pages}",
    pages: "ページ", site: "全キュー", truth: "処理の状態", business_day: "営業日 {date}",
    newest: "最新 {age}前", silent: "{topic}から{age}の間イベントがありません",
    silent_ever: "{topic}からまだイベントがありません", calls: "通話", chats: "チャット", presence: "在席",
    filter: "キューを探す", all_states: "すべての状態", needy: "要注意のみ", all_channels: "すべての種別",
    shown: "{all}キュー中 {n}", state: "状態", queue: "キュー", channel: "種別", queues: "キュー",
    details: "{queue}の詳細", no_details: "いま詳細を読み込めません ({why})。ボードの数値は更新されています。",
    reading: "読み込み中…", windows: "時間幅別", intervals: "本日の時間帯別", csv: "CSVで保存",
    basis_event: "発生した時刻で集計", basis_arrival: "着信した時刻で集計",
    waiting_now: "いま待っている件", abandoned_lately: "最近の放棄", contact: "件", since: "開始", wait: "待ち時間",
    left: "離脱", nobody: "ありません。", unlisted: "まだ届いていません。", measure: "指標", pseudonyms: "件の名前は仮名です。", at: "開始",
    short_callback: "折返し", short_silent_abandoned: "無言離脱", short_first_response_s: "初回応答", short_lost_contacts: "消失",
    trend_of: "直近30分の待ち呼: 現在 {now}、最大 {most}", definition: "= {formula}",
    alerts: "アラート", alerts_firing: "アラート {n}件", alerts_unknown: "アラート不明", alerts_none: "発生中のアラートはありません。",
    alerts_silent: "Alertmanager が応答しません。最後の応答は {at} です。", alerts_never: "Alertmanager からまだ応答がありません。",
    alerts_unwatched: "監視用アラートが届いていません。届いていないアラートがあるかもしれません。", limit: "基準 {limit}", since_at: "{at} から ({age})",
    web: "ウェブ", stuck_now: "いま困っている訪問者", pages_before: "問い合わせの前に見られるページ", offers_by_arm: "提案は役に立ったか",
    web_page: "ページ", since_longest: "最長", web_why: "理由", lead_queue: "対応できるキュー", offer: "提案", lift_interval: "95%区間",
    contact_reasons: "問い合わせの用件", offer_kind: "提案の種類", arms: "群ごとの問い合わせ率", offer_verdict: "判定", offer_done: "提案の数",
    free_agents: "空き{n}人", free_unknown: "空き不明", offer_now: "{n}人に提案", offer_withheld: "提案しない",
    withheld_for: "{why} {n}人", withheld_holdout: "対照群", "withheld_no agent free": "空きなし", "withheld_no offer for this page": "このページには提案なし",
    verdict_precedes: "問い合わせの前", verdict_announces: "通過点", verdict_contact: "問い合わせページ", verdict_none: "差なし", verdict_unsure: "件数不足",
    announced_by: "{page} のため", times: "{n}倍", interval: "{low}〜{high}", arm_offer: "提案", arm_holdout: "対照",
    effect_helps: "効果あり", effect_harms: "逆効果", "effect_not shown": "効果不明", shown_accepted: "表示{shown}、承諾{accepted}、辞退{declined}",
    watched: "注目{n}人のうち", nobody_stuck: "困っている訪問者はいません。", no_pages: "まだページが見られていません。", no_offers: "まだ提案がありません。[[journeys.offers]] でページごとの提案を設定します。",
    other_pages: "ほか{n}ページ、閲覧{views}回", all_other_pages: "その他のページ", web_age: "集計 {age}前", web_stale: "更新停止: {at}の集計です ({age}前)",
    waiting_for_web: "ウェブサイトの数値を読み込んでいます…", no_web: "ウェブのイベントがまだありません。", no_web_how: "サイトのページにトラッカーを置き、送り先のコレクターを起動してください。",
  },
};

export class Words {
  constructor(lang) {
    this.lang = lang in TEXTS ? lang : "en";
    this._measures = {};
    this._reasons = {};
    this.isSettled = false; // true when the server has answered, or has not
  }

  /** The definitions of the server, the same as in metric help texts. */
  async load() {
    try {
      const answer = await fetch(`api/v1/words?lang=${this.lang}`, { cache: "no-store" });
      if (answer.ok) ({ measures: this._measures, reasons: this._reasons } = await answer.json());
    } catch {
      // Nobody answers; whoever asked asks again.
    }
    this.isSettled = true;
  }

  get isLoaded() {
    return Object.keys(this._measures).length > 0;
  }

  /** A text of the page; `{name}` is replaced. An unknown key says itself: a name from outside needs no entry. */
  say(key, values = {}) {
    const text = Object.hasOwn(TEXTS[this.lang], key) ? TEXTS[this.lang][key] : key;
    return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
  }

  /** What speaks for a contact, in words. */
  reason(code) {
    return this._reasons[code] ?? code;
  }

  /** A page by its key; those beyond the number that is counted share one. */
  page(key) {
    return key.startsWith("\u001e") ? this.say("all_other_pages") : key;
  }

  label(measure, short = false) {
    const found = this._measures[measure];
    if (!short || !found) return found?.label ?? measure;
    return TEXTS[this.lang][`short_${measure}`] ?? (found.short || found.label);
  }

  definition(measure) {
    return this._measures[measure] ?? null;
  }

  get measures() {
    return Object.entries(this._measures);
  }

  window(name) {
    return name === "day" ? this.say("today") : this.say("last", { window: this.say(name) });
  }
}
