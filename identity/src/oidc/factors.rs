//! How many factors a sign-in at a provider had, by its `amr` and `acr` claims.

use serde_json::Value;

use super::document::ProviderFactors;

/// As rules count them (`who.factors`).
const MOST: u8 = 3;

impl ProviderFactors {
    /// 1 to 3. By RFC 8176 each *kind* of method counts once (something known, something had, something one is),
    /// and `mfa` means two at least; what the configuration says of a value of `acr` or `amr` counts if it is more.
    pub(crate) fn count(&self, claims: &Value) -> u8 {
        let methods: Vec<&str> = match claims.get("amr") {
            Some(Value::Array(methods)) => methods.iter().filter_map(Value::as_str).collect(),
            // RFC 8176 has an array; some send one string.
            Some(Value::String(method)) => vec![method],
            _ => Vec::new(),
        };
        let kinds = [KNOWN, HAD, IS].iter().filter(|kind| methods.iter().any(|m| kind.contains(m))).count();
        let by_kind = u8::try_from(kinds).unwrap_or(MOST);
        let by_mfa = if methods.contains(&"mfa") { 2 } else { 1 };
        let by_amr = methods.iter().filter_map(|method| self.amr.get(*method)).copied().max().unwrap_or(1);
        let acr = claims.get("acr").and_then(Value::as_str);
        let by_acr = acr.and_then(|acr| self.acr.get(acr)).copied().unwrap_or(1);
        by_kind.max(by_mfa).max(by_amr).max(by_acr).clamp(1, MOST)
    }
}

/// RFC 8176, section 2. `user`, `geo`, `rba`, `wia` and `mca` say nothing of a factor.
const KNOWN: &[&str] = &["pwd", "pin", "kba"];
const HAD: &[&str] = &["otp", "hwk", "swk", "pop", "sms", "tel", "sc"];
const IS: &[&str] = &["face", "fpt", "iris", "retina", "vbm"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_count_once_and_mfa_is_two() {
        let by = |claims: Value| ProviderFactors::default().count(&claims);
        for (amr, factors) in [
            (json!([]), 1),
            (json!(["pwd"]), 1),
            (json!(["pwd", "pin"]), 1),
            (json!(["otp"]), 1),
            (json!(["hwk"]), 1),
            (json!(["pwd", "otp"]), 2),
            (json!(["pwd", "hwk"]), 2),
            (json!(["swk", "pin"]), 2),
            (json!(["hwk", "fpt"]), 2),
            (json!(["pwd", "hwk", "face"]), 3),
            (json!(["mfa"]), 2),
            (json!(["pwd", "mfa"]), 2),
            (json!(["user", "geo", "rba"]), 1),
            (json!("mfa"), 2),
            (json!({"mfa": true}), 1),
            (json!(["MFA"]), 1),
        ] {
            assert_eq!(by(json!({ "amr": amr })), factors, "{amr}");
        }
        assert_eq!(by(json!({"acr": "mfa"})), 1, "an acr means what the configuration says");
    }

    #[test]
    fn the_configuration_adds_what_a_provider_means_by_its_words() {
        let factors = ProviderFactors {
            acr: [("urn:example:gold".to_owned(), 2)].into(),
            amr: [("ngcmfa".to_owned(), 2), ("pwd".to_owned(), 1)].into(),
        };
        assert_eq!(factors.count(&json!({"acr": "urn:example:gold"})), 2);
        assert_eq!(factors.count(&json!({"acr": "urn:example:silver"})), 1);
        assert_eq!(factors.count(&json!({"amr": ["ngcmfa"]})), 2);
        assert_eq!(factors.count(&json!({"amr": ["pwd", "otp"]})), 2, "it never counts for less");
    }
}
