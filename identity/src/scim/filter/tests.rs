use proptest::prelude::*;

use super::*;

fn reads_as(text: &str) -> String {
    Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).to_string()
}

/// Every filter that stands in RFC 7644, 3.4.2.2.
#[test]
fn the_filters_of_the_rfc_are_read() {
    for text in [
        r#"userName eq "bjensen""#,
        r#"name.familyName co "O'Malley""#,
        r#"userName sw "J""#,
        r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J""#,
        "title pr",
        r#"meta.lastModified gt "2011-05-13T04:42:34Z""#,
        r#"meta.lastModified ge "2011-05-13T04:42:34Z""#,
        r#"meta.lastModified lt "2011-05-13T04:42:34Z""#,
        r#"meta.lastModified le "2011-05-13T04:42:34Z""#,
        r#"title pr and userType eq "Employee""#,
        r#"title pr or userType eq "Intern""#,
        r#"schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User""#,
        r#"userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")"#,
        r#"userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")"#,
        r#"userType eq "Employee" and (emails.type eq "work")"#,
        r#"userType eq "Employee" and emails[type eq "work" and value co "@example.com"]"#,
        r#"emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]"#,
    ] {
        let read = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(Filter::parse(&read.to_string()), Ok(read), "{text}");
    }
}

#[test]
fn and_binds_closer_than_or_and_case_does_not_count() {
    assert_eq!(reads_as("a pr OR b pr And c PR"), "a pr or b pr and c pr");
    assert_eq!(reads_as("(a pr or b pr) and c pr"), "(a pr or b pr) and c pr");
    assert_eq!(reads_as("NOT (a eq TRUE)"), "not (a eq true)");
    assert_eq!(reads_as("a pr or (b pr or c pr)"), "a pr or (b pr or c pr)");
}

#[test]
fn what_entra_sends_for_one_of_several_mail_addresses_is_read() {
    assert_eq!(
        reads_as(r#"emails[type eq "work"].value eq "a@b.example""#),
        r#"emails[type eq "work" and value eq "a@b.example"]"#
    );
}

#[test]
fn what_is_no_filter_is_refused_and_told_where() {
    for (text, at) in [
        ("", 1),
        ("userName", 9),
        (r#"userName is "x""#, 10),
        (r#"userName eq x"#, 13),
        (r#"userName eq "x"#, 13),
        (r#"userName eq [1]"#, 13),
        ("(a pr", 6),
        ("a pr)", 5),
        ("a pr b pr", 6),
        ("emails[a[b pr]]", 10),
        ("emails[a pr", 12),
        ("a..b pr", 1),
        ("urn:x: pr", 1),
        (r#"a eq "x"and"#, 12),
    ] {
        assert_eq!(Filter::parse(text).map_err(|e| e.at), Err(at), "{text}");
    }
    let deep = format!("{}a pr{}", "(".repeat(100), ")".repeat(100));
    assert_eq!(Filter::parse(&deep).unwrap_err().problem, "the filter nests too deep");
    assert!(Filter::parse(&"a pr and ".repeat(1_000)).is_err());
}

fn path() -> impl Strategy<Value = AttributePath> {
    let name = "[a-zA-Z$][a-zA-Z0-9_-]{0,8}";
    let urn = prop::option::weighted(0.2, "urn:[a-z]{1,5}:2\\.0:[A-Z][a-z]{0,4}");
    (urn, name, prop::option::of(name)).prop_map(|(urn, name, sub)| AttributePath { urn, name, sub })
}

fn filter() -> impl Strategy<Value = Filter> {
    let literal = prop_oneof![
        ".{0,12}".prop_map(Literal::Text),
        any::<bool>().prop_map(Literal::Bool),
        any::<i64>().prop_map(|n| Literal::Number(n.into())),
        Just(Literal::Null),
    ];
    let compare = (path(), prop::sample::select(&Operator::ALL[..]), literal)
        .prop_map(|(path, operator, literal)| Filter::Compare(path, operator, literal));
    let leaf = prop_oneof![compare, path().prop_map(Filter::Present)];
    let joined = |inner: BoxedStrategy<Filter>| {
        let pair = (inner.clone(), inner.clone());
        prop_oneof![
            inner.prop_map(|f| Filter::Not(f.into())),
            pair.clone().prop_map(|(a, b)| Filter::And(a.into(), b.into())),
            pair.prop_map(|(a, b)| Filter::Or(a.into(), b.into())),
        ]
    };
    let inside = leaf.clone().prop_recursive(3, 8, 2, move |inner| joined(inner.boxed()));
    let bracketed = (path(), inside).prop_map(|(path, inner)| Filter::Where(path, inner.into()));
    prop_oneof![leaf, bracketed].prop_recursive(4, 16, 2, move |inner| joined(inner.boxed()))
}

proptest! {
    /// What is printed reads back as the same tree, whatever stands in it.
    #[test]
    fn a_filter_reads_back(filter in filter()) {
        prop_assert_eq!(Filter::parse(&filter.to_string()), Ok(filter));
    }

    /// Nothing that a client may send makes the parser fall over.
    #[test]
    fn no_text_makes_the_parser_panic(text in "[a-z\"\\\\\\[\\]().: あ0-9]{0,60}", any in ".{0,60}") {
        let _ = Filter::parse(&text);
        let _ = Filter::parse(&any);
        let _ = patch_path(&text);
        let _ = AttributePath::parse(&any);
    }
}
