//! Lists: filter, page, projection (RFC 7644, 3.4.2 and 3.4.3).

use serde_json::{Map, Value, json};

use super::evaluate;
use super::filter::{AttributePath, Filter, Literal, Operator};
use super::handle::Context;
use super::problem::Problem;
use super::projection::Projection;
use super::resource::User;
use super::schema::{GROUPS, ResourceType, USERS};
use super::{MAX_RESULTS, groups, users};

/// What a list is asked for with.
#[derive(Debug, Default)]
pub(crate) struct Query {
    pub(crate) filter: Option<Filter>,
    /// Counted from 1.
    start: usize,
    count: usize,
    pub(crate) projection: Projection,
}

impl Query {
    /// From an address. Names that we don't know are passed over.
    pub(crate) fn of_address(query: Option<&str>) -> Result<Self, Problem> {
        let mut fields = Map::new();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            fields.insert(decoded(name)?, decoded(value)?.into());
        }
        Self::of_fields(&fields)
    }

    /// From the body of a `.search`.
    pub(crate) fn of_search(body: &Value) -> Result<Self, Problem> {
        const SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
        let Value::Object(fields) = body else { return Err(Problem::syntax("the body is not a JSON object")) };
        let schemas = fields.get("schemas").and_then(Value::as_array);
        if !schemas.is_some_and(|s| s.iter().any(|urn| urn.as_str().is_some_and(|u| u.eq_ignore_ascii_case(SCHEMA)))) {
            return Err(Problem::syntax(format!("`schemas` does not name {SCHEMA}")));
        }
        Self::of_fields(fields)
    }

    fn of_fields(fields: &Map<String, Value>) -> Result<Self, Problem> {
        let field = |name: &str| fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let number = |name: &str| {
            match field(name) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::Number(number)) => Ok(number.as_i64()),
                Some(Value::String(text)) => Ok(text.trim().parse().ok()),
                Some(_) => Ok(None),
            }
            .and_then(|found: Option<i64>| match (found, field(name)) {
                (None, Some(value)) if !value.is_null() => {
                    Err(Problem::value(format!("`{name}` is not a whole number")))
                }
                (found, _) => Ok(found),
            })
        };
        let names = |name: &str| match field(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(Projection::names(text)),
            Some(Value::Array(items)) => Ok(items.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
            Some(_) => Err(Problem::value(format!("`{name}` is not a list of names"))),
        };
        let filter = match field("filter") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(Filter::parse(text).map_err(|error| Problem::filter(error.to_string()))?),
            Some(_) => return Err(Problem::filter("`filter` is not a string")),
        };
        let start = number("startIndex")?.unwrap_or(1).max(1);
        let count = number("count")?.map_or(MAX_RESULTS, |n| usize::try_from(n).unwrap_or(0).min(MAX_RESULTS));
        Ok(Self {
            filter,
            start: usize::try_from(start).unwrap_or(usize::MAX),
            count,
            projection: Projection::new(names("attributes")?, names("excludedAttributes")?)?,
        })
    }
}

/// As forms encode: `+` is a space.
fn decoded(text: &str) -> Result<String, Problem> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut hex = || rest.next().and_then(|b| char::from(b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => match (hex(), hex()) {
                (Some(high), Some(low)) => high * 16 + low,
                _ => return Err(Problem::value("a `%` in the query is not followed by two hexadecimal digits")),
            },
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| Problem::value("the query is not UTF-8"))
}

/// The list of one kind of resource, or of both.
pub(super) fn answer(context: &Context<'_>, kinds: &[&'static ResourceType], query: &Query) -> Result<Value, Problem> {
    if let Some(filter) = &query.filter {
        evaluate::check(filter, kinds)?;
    }
    let mut found = Vec::new();
    for kind in kinds {
        candidates(context, kind, query, &mut found);
    }
    let total = found.len();
    let page = found.into_iter().skip(query.start - 1).take(query.count);
    let resources: Vec<Value> =
        page.map(|found| query.projection.apply(found.kind(), found.shown(context)).into()).collect();
    let mut list = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": total,
        "startIndex": query.start,
        "itemsPerPage": resources.len(),
    });
    // Asked for nothing but the number, nothing else is said (RFC 7644, 3.4.2.4).
    if query.count > 0 {
        list["Resources"] = resources.into();
    }
    Ok(list)
}

enum Found<'c> {
    User(&'c User),
    Group(&'c super::resource::Group),
}

impl Found<'_> {
    fn kind(&self) -> &'static ResourceType {
        match self {
            Self::User(_) => &USERS,
            Self::Group(_) => &GROUPS,
        }
    }

    fn shown(&self, context: &Context<'_>) -> Map<String, Value> {
        match self {
            Self::User(user) => users::show(context, user),
            Self::Group(group) => groups::show(context, group),
        }
    }
}

/// Oldest first, so that pages stay where they are while people are added.
fn candidates<'c>(context: &'c Context<'_>, kind: &'static ResourceType, query: &Query, found: &mut Vec<Found<'c>>) {
    let meets = |candidate: &Found<'_>| match &query.filter {
        None => true,
        Some(filter) => evaluate::matches(filter, kind, &candidate.shown(context)),
    };
    if kind.name == USERS.name {
        let wanted = query.filter.as_ref().map(equalities).unwrap_or_default();
        let of_provider = |user: &&std::sync::Arc<User>| !user.deleted && &*user.provider == context.provider();
        let mut users: Vec<_> = context.resources.users().filter(of_provider).collect();
        users.retain(|user| wanted.iter().all(|(name, value)| could_be(user, name, value)));
        users.sort_unstable_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        found.extend(users.into_iter().map(|user| Found::User(user)).filter(meets));
    } else {
        let mut groups: Vec<_> =
            context.resources.groups().filter(|group| &*group.provider == context.provider()).collect();
        groups.sort_unstable_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        found.extend(groups.into_iter().map(|group| Found::Group(group)).filter(meets));
    }
}

/// What a filter asks of every match as `name eq "text"`. Providers look people up by it, one by one; comparing it
/// first spares rendering everybody.
fn equalities(filter: &Filter) -> Vec<(&str, &str)> {
    match filter {
        Filter::Compare(AttributePath { urn: None, name, sub: None }, Operator::Equal, Literal::Text(text)) => {
            vec![(name, text)]
        }
        Filter::And(left, right) => [equalities(left), equalities(right)].concat(),
        _ => Vec::new(),
    }
}

fn could_be(user: &User, name: &str, text: &str) -> bool {
    match name.to_ascii_lowercase().as_str() {
        "username" => user.user_name().to_lowercase() == text.to_lowercase(),
        "externalid" => user.external_id() == Some(text),
        "id" => &*user.id == text,
        _ => true,
    }
}
