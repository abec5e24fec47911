//! What we say about ourselves: `/ServiceProviderConfig`, `/ResourceTypes`, `/Schemas` (RFC 7643, 5 to 7).

use serde_json::{Map, Value, json};

use super::schema::{Attribute, ENTERPRISE, GROUP, GROUPS, Kind, ResourceType, USER, USERS};
use super::{BASE_PATH, BODY_LIMIT, MAX_RESULTS};

const CONFIG: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
const RESOURCE_TYPE: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
const SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";

pub(crate) fn config(origin: &str) -> Value {
    json!({
        "schemas": [CONFIG],
        "patch": { "supported": true },
        "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": BODY_LIMIT },
        "filter": { "supported": true, "maxResults": MAX_RESULTS },
        "changePassword": { "supported": false },
        "sort": { "supported": false },
        "etag": { "supported": true },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "A token made with `sekisho scim token add`, in the Authorization header (RFC 6750)",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": true,
        }],
        "meta": { "resourceType": "ServiceProviderConfig", "location": format!("{origin}{BASE_PATH}/ServiceProviderConfig") },
    })
}

pub(crate) fn resource_types(origin: &str) -> Vec<Value> {
    [&USERS, &GROUPS].into_iter().map(|kind| resource_type(kind, origin)).collect()
}

fn resource_type(kind: &ResourceType, origin: &str) -> Value {
    let extensions: Vec<Value> = kind.extension.iter().map(|e| json!({ "schema": e.id, "required": false })).collect();
    let mut document = json!({
        "schemas": [RESOURCE_TYPE],
        "id": kind.name,
        "name": kind.name,
        "description": kind.description,
        "endpoint": kind.endpoint,
        "schema": kind.schema.id,
        "meta": { "resourceType": "ResourceType", "location": format!("{origin}{BASE_PATH}/ResourceTypes/{}", kind.name) },
    });
    if !extensions.is_empty() {
        document["schemaExtensions"] = extensions.into();
    }
    document
}

pub(crate) fn schemas(origin: &str) -> Vec<Value> {
    let ours = [&USER, &ENTERPRISE, &GROUP].into_iter().map(|schema| {
        let attributes: Vec<_> = schema.attributes.iter().map(attribute).collect();
        document(schema.id, schema.name, schema.description, &attributes, origin)
    });
    ours.chain(of_ourselves(origin)).collect()
}

fn document(id: &str, name: &str, description: &str, attributes: &[Value], origin: &str) -> Value {
    json!({
        "schemas": [SCHEMA],
        "id": id,
        "name": name,
        "description": description,
        "attributes": attributes,
        "meta": { "resourceType": "Schema", "location": format!("{origin}{BASE_PATH}/Schemas/{id}") },
    })
}

fn attribute(attribute: &Attribute) -> Value {
    let (kind, references, parts): (_, &[&str], &[Attribute]) = match attribute.kind {
        Kind::Text => ("string", &[], &[]),
        Kind::Boolean => ("boolean", &[], &[]),
        Kind::DateTime => ("dateTime", &[], &[]),
        Kind::Reference(types) => ("reference", types, &[]),
        Kind::Complex(parts) => ("complex", &[], parts),
    };
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| map.insert(name.to_owned(), value);
    put("name", attribute.name.into());
    put("type", kind.into());
    put("multiValued", attribute.multi.into());
    put("description", attribute.description.into());
    put("required", attribute.required.into());
    if !matches!(attribute.kind, Kind::Boolean | Kind::Complex(_) | Kind::DateTime) {
        put("caseExact", attribute.case_exact.into());
    }
    let mutability = match (attribute.read_only, attribute.immutable) {
        (true, _) => "readOnly",
        (_, true) => "immutable",
        _ => "readWrite",
    };
    put("mutability", mutability.into());
    put("returned", if attribute.always_returned { "always" } else { "default" }.into());
    put("uniqueness", if attribute.unique { "server" } else { "none" }.into());
    if !attribute.canonical.is_empty() {
        put("canonicalValues", attribute.canonical.iter().copied().collect());
    }
    if !references.is_empty() {
        put("referenceTypes", references.iter().copied().collect());
    }
    if !parts.is_empty() {
        put("subAttributes", parts.iter().map(self::attribute).collect());
    }
    map.into()
}

/// The schemas of the documents in this file (RFC 7643, 8.7.2), in short: nobody can write them.
fn of_ourselves(origin: &str) -> Vec<Value> {
    let field = |name: &str, kind: &str, multi: bool, parts: &[(&str, &str)]| {
        let mut field = plain(name, kind);
        field["multiValued"] = multi.into();
        if !parts.is_empty() {
            field["subAttributes"] = parts.iter().map(|(name, kind)| plain(name, kind)).collect();
        }
        field
    };
    let supported = [("supported", "boolean")];
    let bulk = [("supported", "boolean"), ("maxOperations", "integer"), ("maxPayloadSize", "integer")];
    let filter = [("supported", "boolean"), ("maxResults", "integer")];
    let scheme = [
        ("type", "string"),
        ("name", "string"),
        ("description", "string"),
        ("specUri", "reference"),
        ("documentationUri", "reference"),
        ("primary", "boolean"),
    ];
    let config = vec![
        field("documentationUri", "reference", false, &[]),
        field("patch", "complex", false, &supported),
        field("bulk", "complex", false, &bulk),
        field("filter", "complex", false, &filter),
        field("changePassword", "complex", false, &supported),
        field("sort", "complex", false, &supported),
        field("etag", "complex", false, &supported),
        field("authenticationSchemes", "complex", true, &scheme),
    ];
    let kind = vec![
        field("id", "string", false, &[]),
        field("name", "string", false, &[]),
        field("description", "string", false, &[]),
        field("endpoint", "reference", false, &[]),
        field("schema", "reference", false, &[]),
        field("schemaExtensions", "complex", true, &[("schema", "reference"), ("required", "boolean")]),
    ];
    let characteristics = [
        ("name", "string"),
        ("type", "string"),
        ("multiValued", "boolean"),
        ("description", "string"),
        ("required", "boolean"),
        ("canonicalValues", "string"),
        ("caseExact", "boolean"),
        ("mutability", "string"),
        ("returned", "string"),
        ("uniqueness", "string"),
        ("referenceTypes", "string"),
    ];
    let schema = vec![
        field("id", "string", false, &[]),
        field("name", "string", false, &[]),
        field("description", "string", false, &[]),
        field("attributes", "complex", true, &characteristics),
    ];
    vec![
        document(CONFIG, "ServiceProviderConfig", "What this service can do", &config, origin),
        document(RESOURCE_TYPE, "ResourceType", "A kind of resource that is served", &kind, origin),
        document(SCHEMA, "Schema", "The attributes of a resource", &schema, origin),
    ]
}

fn plain(name: &str, kind: &str) -> Value {
    let multi = matches!(name, "canonicalValues" | "referenceTypes");
    let mut plain = json!({
        "name": name, "type": kind, "multiValued": multi, "description": "See RFC 7643, 5 to 7", "required": false,
        "mutability": "readOnly", "returned": "default", "uniqueness": "none",
    });
    if matches!(kind, "string" | "reference") {
        plain["caseExact"] = true.into();
    }
    if kind == "reference" {
        plain["referenceTypes"] = json!(["uri"]);
    }
    plain
}

/// The one of these documents that has the id, which clients may write in any case.
pub(crate) fn by_id(documents: Vec<Value>, id: &str) -> Option<Value> {
    documents.into_iter().find(|d| d["id"].as_str().is_some_and(|found| found.eq_ignore_ascii_case(id)))
}
