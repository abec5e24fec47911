//! The invented people and records the SaaS starts with.

use jiff::ToSpan;
use jiff::civil::{Date, date};

use crate::notices::Notices;
use crate::records::{Note, Records, Resident};
use crate::wall_clock;

/// name, kana, sex, birth, room, care level, moved in, key person, phone, conditions, allergy, meal, mobility, plan
type Row = (
    &'static str,
    &'static str,
    &'static str,
    (i16, i8, i8),
    &'static str,
    &'static str,
    (i16, i8, i8),
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

#[rustfmt::skip]
const RESIDENTS: &[Row] = &[
    ("山田 花子", "やまだ はなこ", "女", (1937, 4, 3), "201", "要介護3", (2023, 6, 1), "長男 山田 健一", "090-0000-1101", "アルツハイマー型認知症、高血圧症", "そば", "常食・減塩", "歩行器", "昼食前に歩行器で廊下を2往復。夕方の不安が強いときは、居室で昔の写真を一緒に見る。"),
    ("高橋 正雄", "たかはし まさお", "男", (1934, 11, 21), "202", "要介護4", (2022, 3, 15), "妻 高橋 節子", "090-0000-1102", "脳梗塞後遺症（右片麻痺）、糖尿病", "なし", "軟菜・糖尿病食1400kcal", "車いす", "移乗は二人介助。食前に血糖測定、右上肢の可動域訓練を一日2回。"),
    ("渡辺 ミツ", "わたなべ みつ", "女", (1929, 1, 8), "203", "要介護5", (2021, 9, 1), "長女 中村 和子", "090-0000-1103", "廃用症候群、慢性心不全", "ペニシリン系", "ミキサー食・とろみ中間", "ベッド上", "2時間ごとの体位変換。食事は30度ギャッチアップ、一口量はスプーン1/2まで。"),
    ("伊藤 茂", "いとう しげる", "男", (1940, 7, 30), "204", "要介護2", (2024, 2, 10), "次男 伊藤 浩二", "090-0000-1104", "パーキンソン病", "なし", "常食・一口大", "杖", "すくみ足が出やすい朝は声かけでリズムをとる。服薬時刻（8時・12時・18時）を守る。"),
    ("小林 ふみ", "こばやし ふみ", "女", (1936, 2, 14), "205", "要介護1", (2024, 10, 5), "姪 木村 恵", "090-0000-1105", "骨粗しょう症、変形性膝関節症", "さば", "常食", "シルバーカー", "園芸活動への参加を継続。入浴後の保湿と膝の痛みの確認。"),
    ("中村 勇", "なかむら いさむ", "男", (1932, 5, 5), "206", "要介護3", (2023, 1, 20), "長男 中村 隆", "090-0000-1106", "慢性閉塞性肺疾患（在宅酸素 1.5L）", "なし", "常食・刻み", "車いす", "SpO2 90%未満で看護師に連絡。入浴は酸素を続けたまま10分以内。"),
    ("加藤 よし子", "かとう よしこ", "女", (1938, 9, 17), "207", "要介護2", (2024, 4, 1), "夫 加藤 昭", "090-0000-1107", "レビー小体型認知症", "卵", "常食（卵除去）", "見守り歩行", "幻視を否定せず傾聴。夜間は足元灯を点け、離床センサーを使用。"),
    ("吉田 清", "よしだ きよし", "男", (1935, 12, 1), "208", "要支援2", (2025, 1, 11), "長女 斎藤 真理", "090-0000-1108", "前立腺肥大症", "なし", "常食", "自立", "将棋クラブの世話役。夜間トイレは3回までを目安に、転倒に注意。"),
    ("山本 千代", "やまもと ちよ", "女", (1930, 3, 27), "301", "要介護4", (2020, 11, 2), "長男の妻 山本 久美子", "090-0000-1109", "大腿骨頸部骨折術後、認知症", "なし", "軟菜・一口大", "車いす", "立位訓練を平行棒で週3回。日中はリビングで過ごし生活リズムを整える。"),
    ("佐々木 武", "ささき たけし", "男", (1939, 6, 9), "302", "要介護1", (2025, 5, 18), "弟 佐々木 実", "090-0000-1110", "アルコール性肝障害（断酒中）", "なし", "常食・高たんぱく", "自立", "園内の売店当番を継続。断酒会（毎月第2土曜）への送迎。"),
    ("松本 キヨ", "まつもと きよ", "女", (1927, 10, 12), "303", "要介護5", (2019, 8, 8), "孫 松本 拓也", "090-0000-1111", "老衰、褥瘡（仙骨部 d2）", "なし", "経口訓練ゼリー・胃ろう", "ベッド上", "看取り期の意向を家族と確認済み。好きな演歌を午前中に流す。褥瘡処置は毎日10時。"),
    ("井上 和夫", "いのうえ かずお", "男", (1941, 1, 25), "304", "要介護2", (2024, 7, 22), "長女 井上 奈々", "090-0000-1112", "血管性認知症、心房細動", "納豆不可（ワルファリン）", "常食・納豆禁", "杖", "出血傾向に注意。口腔ケア時の歯肉出血は看護師へ。"),
    ("木村 静江", "きむら しずえ", "女", (1933, 8, 15), "305", "要介護3", (2022, 12, 12), "次女 林 由紀", "090-0000-1113", "関節リウマチ", "なし", "常食・自助具使用", "歩行器", "朝のこわばりが強いため起床は8時以降。更衣は時間をかけて見守る。"),
    ("林 一郎", "はやし いちろう", "男", (1936, 11, 3), "306", "要支援1", (2025, 9, 1), "妻 林 房子", "090-0000-1114", "高血圧症", "えび・かに", "常食・減塩", "自立", "朝の体操リーダー。週1回の血圧手帳の確認。"),
    ("清水 とめ", "しみず とめ", "女", (1928, 2, 29), "307", "要介護4", (2021, 4, 26), "長男 清水 勝", "090-0000-1115", "認知症、難聴（左のみ補聴器）", "なし", "軟菜・とろみ薄い", "車いす", "左側から、ゆっくり低い声で話しかける。補聴器の電池は毎週月曜に交換。"),
    ("斎藤 実", "さいとう みのる", "男", (1937, 7, 7), "308", "要介護3", (2023, 10, 30), "妻 斎藤 幸子", "090-0000-1116", "慢性腎不全（透析 月水金）", "造影剤", "腎臓食・カリウム制限", "車いす", "透析日は13時出発。水分は一日500mL。シャント側（左腕）での血圧測定は禁止。"),
];

/// room index (into `RESIDENTS`), hours ago, author, kind, text
const NOTES: &[(u32, i64, &str, &str, &str)] = &[
    (0, 1, "鈴木 大輔", "食事", "朝食 全量摂取。水分 220mL。「今日のおみおつけ、おいしいね」と笑顔あり。"),
    (5, 1, "田中 由美", "バイタル", "体温 36.6℃ 血圧 128/74 脈拍 82 SpO2 94%（酸素 1.5L）。呼吸苦なし。"),
    (2, 2, "鈴木 大輔", "排泄", "おむつ交換。多量の軟便。仙骨部に発赤なし。"),
    (6, 3, "田中 由美", "様子", "午前4時ごろ「子どもが立っている」と話される。傾聴し、温かいお茶で落ち着かれた。"),
    (1, 3, "田中 由美", "バイタル", "食前血糖 142mg/dL。インスリン 4単位 自己注射を見守り。"),
    (10, 5, "佐藤 美咲", "処置", "仙骨部の褥瘡処置。浸出液少量、サイズ 2.0×1.5cm と縮小傾向。"),
    (15, 6, "鈴木 大輔", "様子", "透析より帰園。ドライウェイト 52.0kg。疲労感があり居室で休まれる。"),
    (3, 20, "鈴木 大輔", "服薬", "18時の薬を服用。飲み込み良好、むせなし。"),
    (8, 22, "田中 由美", "リハビリ", "平行棒で立位 40秒×3回。「足が出るようになった」と喜ばれる。"),
    (0, 23, "鈴木 大輔", "入浴", "個浴にて入浴。皮膚トラブルなし。入浴後に麦茶 150mL。"),
    (4, 25, "佐藤 美咲", "活動", "中庭の花壇にパンジーを植えられた。膝の痛みの訴えなし。"),
    (14, 27, "田中 由美", "様子", "補聴器の電池を交換。ご長男が面会に来られ、写真を見ながら談笑。"),
];

pub(crate) fn records() -> Records {
    let day = |(year, month, day)| date(year, month, day);
    let residents = RESIDENTS.iter().zip(101..).map(|(row, id)| Resident {
        id,
        name: row.0.to_owned(),
        kana: row.1.to_owned(),
        sex: row.2.to_owned(),
        birth: day(row.3),
        room: row.4.to_owned(),
        care_level: row.5.to_owned(),
        moved_in: day(row.6),
        key_person: row.7.to_owned(),
        phone: row.8.to_owned(),
        conditions: row.9.to_owned(),
        allergy: row.10.to_owned(),
        meal: row.11.to_owned(),
        mobility: row.12.to_owned(),
        plan: row.13.to_owned(),
        changed: None,
    });
    let now = wall_clock::now();
    let notes = NOTES.iter().map(|(resident, hours, author, kind, text)| Note {
        resident: 101 + resident,
        at: now.saturating_sub(hours.hours()),
        author: (*author).to_owned(),
        kind: (*kind).to_owned(),
        text: (*text).to_owned(),
    });
    Records::new(residents, notes)
}

pub(crate) fn notices() -> Notices {
    let notices = Notices::default();
    notices.post("佐藤 美咲", "【感染対策】面会の方のマスク着用と手指消毒を、玄関で必ずご案内ください。");
    notices.post("事務局", "来月の勤務希望は20日までに提出してください。");
    notices.post("田中 由美", "203号室 渡辺様、本日15時に往診（吉川医師）があります。");
    notices
}

/// The two documents the file list starts with: name, type, bytes.
pub(crate) fn documents() -> [(&'static str, &'static str, Vec<u8>); 2] {
    let schedule = "ひだまりの家 今月の行事予定\r\n\r\n 5日 誕生会（食堂 14:00）\r\n12日 避難訓練（夜間想定）\r\n\
                    19日 訪問理美容\r\n26日 家族会\r\n";
    [
        ("行事予定.txt", "text/plain", schedule.as_bytes().to_vec()),
        ("ケアプラン様式.pdf", "application/pdf", blank_pdf(wall_clock::today())),
    ]
}

/// One A4 page with one line: the smallest PDF that readers show.
fn blank_pdf(on: Date) -> Vec<u8> {
    let text = format!("BT /F1 18 Tf 72 760 Td (Hidamari Care  care plan form  {on}) Tj ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R \
         /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{text}\nendstream", text.len()),
    ];
    let mut pdf = "%PDF-1.4\n".to_owned();
    let mut table = "0000000000 65535 f \n".to_owned();
    for (object, number) in objects.iter().zip(1..) {
        table.push_str(&format!("{:010} 00000 n \n", pdf.len()));
        pdf.push_str(&format!("{number} 0 obj\n{object}\nendobj\n"));
    }
    let start = pdf.len();
    pdf.push_str(&format!("xref\n0 5\n{table}trailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"));
    pdf.into_bytes()
}
