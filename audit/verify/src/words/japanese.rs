//! What is wrong, and why there is no answer, in Japanese. The English words stand in the library, beside what they are for.
//!
//! What was seen in the files is told in English in both languages: it is for whoever looks into it.

use audit_verify::time::japan;
use audit_verify::{Error, Finding, NotCompared, Place, Record, Taken, What, printable};

pub(super) fn finding(finding: &Finding) -> String {
    let Finding { what, place, why } = finding;
    let (word, meaning, advice) = words(*what);
    let why = printable(why, 4000);
    format!("{}（{word}）：{}{meaning}{advice} 詳細（英語）：{why}", what.word(), at(place))
}

fn at(place: &Place) -> String {
    let mut parts = Vec::new();
    match (place.leaf, place.before_leaf) {
        (Some(leaf), Some(before)) if before > leaf + 1 => {
            parts.push(format!("記録 {leaf} 番から {} 番の間", before - 1));
        }
        (Some(leaf), _) => parts.push(format!("記録 {leaf} 番")),
        (None, Some(before)) => parts.push(format!("記録 {before} 番より前")),
        (None, None) => {}
    }
    if let Some(Record { boot, seq }) = place.record {
        parts.push(format!("起動 {boot} 回目の {seq} 番"));
    }
    if let Some(at) = place.at {
        parts.push(format!("そこに書かれている日時 {}", japan(at)));
    }
    if let Some(file) = &place.file {
        parts.push(format!("ファイル {}", printable(file, 1000)));
    }
    if parts.is_empty() { String::new() } else { parts.join("、") + "。" }
}

/// The word, what it means, what to do.
fn words(what: What) -> (&'static str, &'static str, &'static str) {
    const COMPARE: &str = "これをそのまま保管し、以前の写しを入手して、この記録から先を見比べてください。";
    match what {
        What::Changed => (
            "変更",
            "そこにあるのは封印されたものではありません。あとから書き換えられたか、ディスクの故障です。",
            COMPARE,
        ),
        What::Missing => ("欠落", "封印された記録が抜き取られています。", COMPARE),
        What::Inserted => ("挿入", "封印のあとで記録が差し込まれたか、同じ記録が二重にあります。", COMPARE),
        What::Reordered => ("順序の入れ替え", "封印のあとで記録の順序が変えられています。", COMPARE),
        What::CutOff => (
            "末尾の欠落",
            "最新の記録がありません。切り取られたか、フォルダーが古い写しに置き換えられています。",
            "最新のフォルダーを求め、より多くの記録を保証するチェックポイントを保管してください。ゲートウェイの動作中に写すときは、\
             ファイル checkpoint を最初に写す必要があります。",
        ),
        What::SequenceGap => (
            "番号の欠け",
            "封印の前に記録が省かれたか、異常終了で失われています。それを説明する記録がログにありません。",
            COMPARE,
        ),
        What::BadSignature => (
            "署名の不一致",
            "これを保証する人がいません。別の鍵で署名されたか、署名のあとで変えられたか、指定した鍵が違います。",
            "ログの鍵を別の経路（紙や電話）で施設に確かめ、その鍵でもう一度試してください。",
        ),
        What::Forked => (
            "分岐",
            "ログの鍵を持つ人が、途中から食い違う二つの履歴に署名しています。",
            "このフォルダーと以前のチェックポイントを保管してください。二つそろって証拠になります。鍵を誰が持っていたかを尋ねてください。",
        ),
        What::Rewritten => (
            "書き直し",
            "ログの鍵を持つ人が、封印済みの内容を書き直して署名し直しています。その時期についてこのログにあることは、当時のログにあったことと違います。",
            "このフォルダーと以前のチェックポイントを保管してください。二つそろって証拠になります。鍵を誰が持っていたかを尋ねてください。",
        ),
        What::TileDamaged => (
            "ハッシュファイルの損傷",
            "ハッシュのファイルが変わったか失われています。記録そのものには関係しませんが、これから作る証明は誤りになります。",
            "バックアップのフォルダーと見比べてください。何が起きたか分かるまで、このまま保管してください。",
        ),
        What::Unreadable => (
            "読めない",
            "ファイルが壊れたか置き換えられたため、その内容を保証できません。",
            "バックアップのフォルダーと見比べてください。何が起きたか分かるまで、このまま保管してください。",
        ),
        What::NotInForm => (
            "形式違反",
            "ログを書いた側、またはその鍵を持つ人が、形式で許されないものを書いています。",
            "まずこのプログラムの新しい版で試し、それでも同じなら、その記録を添えて Sekisho の開発者に問い合わせてください。",
        ),
        What::DroppedWithoutRecord => (
            "記録のない消去",
            "古い記録を消すときは、そのことを示す種類 retention の記録が必要ですが、ありません。",
            COMPARE,
        ),
    }
}

/// What is in a file instead of what was expected.
fn instead(is: Taken) -> &'static str {
    match is {
        Taken::Bundle => "これは束（エクスポート）です。audit-verify bundle で検証できます",
        Taken::Proof => "これは記録一件の証明です。audit-verify proof で検証できます",
        Taken::Consistency => {
            "これはつながりの証明で、二番目に指定します（audit-verify consistency 古いチェックポイント 証明）"
        }
    }
}

pub(super) fn error(error: &Error) -> String {
    let why = match error {
        Error::Read { path, source } => {
            format!("{} を読めません（{source}）。名前と、読む権限を確かめてください", path.display())
        }
        Error::TooLong { path, limit } => {
            format!("{} は {limit} バイトより長く、指定されたものではありえません", path.display())
        }
        Error::Key(key, why) => format!(
            "鍵 {key} は使えません（{why}）。log.vkey の一行を、ログとは別の経路でもう一度施設から受け取ってください"
        ),
        Error::NoKey => {
            "鍵が指定されていません。ログとは別の経路で受け取ったログの鍵がなければ、何も検証できません".to_owned()
        }
        Error::Range { from, to, size, minimum } => format!(
            "記録 {from} 番から {to} 番までは検証できません。ログの記録は {size} 件（最初は 0 番）で、残っているのは {minimum} 番以降です"
        ),
        Error::State { path, why } => {
            format!("状態ファイル {} は使えません（{why}）。消せば最初からやり直せます", path.display())
        }
        Error::NoCheckpoint { path, why, is } => format!(
            "{} はチェックポイントではありません（{why}）。チェックポイントは三行（ログの名前、記録の件数、ハッシュ）、空の行、— で始まる行\
             からなります。残したままのファイルを指定してください{}",
            path.display(),
            is.map_or(String::new(), |is| format!("。{}", instead(is)))
        ),
        Error::OtherKind { path, is } => format!("{} は別の種類のファイルです。{}", path.display(), instead(*is)),
        Error::NoLog { path } => format!(
            "{} はログではありません。checkpoint も tile もありません。その二つがあるフォルダーを指定してください（ゲートウェイのデータでは audit/log）",
            path.display()
        ),
        Error::NotCompared { checkpoints, .. } => {
            let one = |NotCompared { source, size, why }: &NotCompared| {
                format!("残されていたチェックポイント {source}（{size} 件）と比べられません（{why}）")
            };
            let list = checkpoints.iter().map(one).collect::<Vec<_>>().join("。");
            format!(
                "{list}。ほかに問題はありませんが、ログの鍵を持つ人がログを書き直していても、このチェックポイントでは分かりません。そのハッシュが\
                 残っている古いフォルダーの写しか、つながりの証明（audit-verify consistency）を求めてください。このチェックポイントを外して検証する\
                 こともできますが、その場合、これより前を保証するのはログの鍵とほかのチェックポイントだけです"
            )
        }
        Error::NotWitnessed(names) => format!(
            "証人 {} は、調べたチェックポイント（最新のものと --checkpoint で指定したもの）のどれにも署名していません。ほかに問題はありませんが、\
             このログを保証するのはその鍵を持つ人だけです。証人が署名したチェックポイントを --checkpoint で指定するか、証人に何を見たか尋ねて\
             ください。それを承知のうえで、その証人の鍵を外して検証することもできます",
            names.join("、")
        ),
        Error::LaterVersion { count, first } => format!(
            "{count} 件の記録（調べた中では {first} 番が最初）は、この形式のより新しい版です。封印されたときのままですが、その内容も、前後に欠けた\
             記録がないかも、このプログラムでは分かりません。新しい audit-verify を入手してください"
        ),
        Error::WriteState { path, source } => format!("状態を {} に書けません（{source}）", path.display()),
        Error::Thread(source) => format!("スレッドを始められません（{source}）。--jobs を減らしてください"),
        other => other.to_string(),
    };
    format!("検証できませんでした：{why}。")
}
