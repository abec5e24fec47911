//! The mail that a checkpoint of the audit log comes with, in both languages: who files it need not know which.

/// Its subject.
pub fn checkpoint_subject(origin: &str, size: u64) -> String {
    format!("[Sekisho] 監査記録のチェックポイント / Audit checkpoint: {origin} {size}")
}

/// Its text. `note` is the checkpoint as it was signed.
pub fn checkpoint_mail(origin: &str, size: u64, note: &str) -> String {
    format!(
        "監査記録 {origin} の最新のチェックポイントです(記録 {size} 件)。\n\
         このメールは消さずに保管してください。記録があとから書き換えられていないことを、このチェックポイントで確かめられます。\n\
         返信や操作は必要ありません。\n\
         \n\
         This is the newest checkpoint of the audit log {origin} ({size} records).\n\
         Please keep this mail. With it, anybody can check later that no record was rewritten.\n\
         There is nothing to answer or to do.\n\
         \n\
         {note}"
    )
}
