//! The attributes we keep: the part of RFC 7643's User, Group and enterprise User that a roster has use for. What
//! the RFC knows beyond it is accepted and dropped; what nobody needs is not stored.

/// An attribute's type (RFC 7643, 2.3).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Text,
    Boolean,
    DateTime,
    /// With the resource types it may refer to.
    Reference(&'static [&'static str]),
    Complex(&'static [Attribute]),
}

/// An attribute's characteristics (RFC 7643, 2.2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) kind: Kind,
    pub(crate) multi: bool,
    pub(crate) required: bool,
    pub(crate) case_exact: bool,
    /// `readOnly`: what clients send for it is ignored.
    pub(crate) read_only: bool,
    /// Given once and never changed.
    pub(crate) immutable: bool,
    pub(crate) always_returned: bool,
    /// No two resources have the same.
    pub(crate) unique: bool,
    pub(crate) canonical: &'static [&'static str],
}

const fn attribute(name: &'static str, kind: Kind, description: &'static str) -> Attribute {
    Attribute {
        name,
        description,
        kind,
        multi: false,
        required: false,
        case_exact: false,
        read_only: false,
        immutable: false,
        always_returned: false,
        unique: false,
        canonical: &[],
    }
}

const fn text(name: &'static str, description: &'static str) -> Attribute {
    attribute(name, Kind::Text, description)
}

impl Attribute {
    const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    const fn exact(self) -> Self {
        Self { case_exact: true, ..self }
    }

    const fn read_only(self) -> Self {
        Self { read_only: true, ..self }
    }

    const fn immutable(self) -> Self {
        Self { immutable: true, ..self }
    }

    const fn always(self) -> Self {
        Self { always_returned: true, ..self }
    }

    const fn unique(self) -> Self {
        Self { unique: true, ..self }
    }

    const fn many(self) -> Self {
        Self { multi: true, ..self }
    }

    const fn canonical(self, canonical: &'static [&'static str]) -> Self {
        Self { canonical, ..self }
    }

    pub(crate) fn sub(&self, name: &str) -> Option<&'static Self> {
        match self.kind {
            Kind::Complex(subs) => find(subs, name),
            _ => None,
        }
    }
}

/// Names are compared without case (RFC 7643, 2.1).
pub(crate) fn find(attributes: &'static [Attribute], name: &str) -> Option<&'static Attribute> {
    attributes.iter().find(|a| a.name.eq_ignore_ascii_case(name))
}

/// A named set of attributes.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) attributes: &'static [Attribute],
}

/// A kind of resource that is served.
#[derive(Debug)]
pub(crate) struct ResourceType {
    pub(crate) name: &'static str,
    pub(crate) endpoint: &'static str,
    pub(crate) description: &'static str,
    pub(crate) schema: &'static Schema,
    pub(crate) extension: Option<&'static Schema>,
    /// Attributes of RFC 7643 that clients may send and that we do not keep.
    pub(crate) dropped: &'static [&'static str],
}

/// Of every resource (RFC 7643, 3.1); they stand in no schema.
pub(crate) const COMMON: &[Attribute] = &[
    attribute("schemas", Kind::Reference(&["uri"]), "The schemas of the resource").many().read_only().exact().always(),
    text("id", "Our name for the resource").exact().read_only().always().unique(),
    text("externalId", "The client's name for the resource").exact(),
    attribute("meta", Kind::Complex(META), "About the resource itself").read_only(),
];

const META: &[Attribute] = &[
    text("resourceType", "User or Group").exact().read_only(),
    attribute("created", Kind::DateTime, "When it was made here").read_only(),
    attribute("lastModified", Kind::DateTime, "When it was changed last").read_only(),
    attribute("location", Kind::Reference(&["uri"]), "Its address").exact().read_only(),
    text("version", "Its ETag").exact().read_only(),
];

const NAME: &[Attribute] = &[
    text("formatted", "The whole name as it is to be shown"),
    text("familyName", "The family name"),
    text("givenName", "The given name"),
    text("middleName", "The middle name"),
    text("honorificPrefix", "What stands before the name"),
    text("honorificSuffix", "What stands after the name"),
];

const EMAIL: &[Attribute] = &[
    text("value", "The address"),
    text("display", "How it is shown"),
    text("type", "What it is for").canonical(&["work", "home", "other"]),
    attribute("primary", Kind::Boolean, "Whether it is the preferred one; true at most once"),
];

const GROUP_OF_USER: &[Attribute] = &[
    text("value", "The group's id").exact().read_only(),
    attribute("$ref", Kind::Reference(&["Group"]), "The group's address").exact().read_only(),
    text("display", "The group's name").read_only(),
    text("type", "How the membership comes about").canonical(&["direct"]).read_only(),
];

const MEMBER: &[Attribute] = &[
    text("value", "The member's id").exact().immutable(),
    attribute("$ref", Kind::Reference(&["User"]), "The member's address").exact().immutable(),
    text("type", "What the member is; groups in groups are not served").canonical(&["User"]).immutable(),
];

pub(crate) static USER: Schema = Schema {
    id: "urn:ietf:params:scim:schemas:core:2.0:User",
    name: "User",
    description: "A person of the roster",
    attributes: &[
        text("userName", "What the provider calls the person; unique").required().unique(),
        attribute("name", Kind::Complex(NAME), "The parts of the name"),
        text("displayName", "The name as the roster and the records show it"),
        attribute("active", Kind::Boolean, "False: the person is out from the next request on"),
        attribute(
            "emails",
            Kind::Complex(EMAIL),
            "Mail addresses; the primary one, else that for work, is the roster's",
        )
        .many(),
        attribute("groups", Kind::Complex(GROUP_OF_USER), "The groups the person belongs to").many().read_only(),
    ],
};

pub(crate) static ENTERPRISE: Schema = Schema {
    id: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    name: "EnterpriseUser",
    description: "What an employer adds",
    attributes: &[text("employeeNumber", "The staff number"), text("department", "The facility the person works at")],
};

pub(crate) static GROUP: Schema = Schema {
    id: "urn:ietf:params:scim:schemas:core:2.0:Group",
    name: "Group",
    description: "A group of the provider; the configuration says which group of the roster it gives, if any",
    attributes: &[
        text("displayName", "The group's name").required(),
        attribute("members", Kind::Complex(MEMBER), "Who belongs to it").many(),
    ],
};

pub(crate) static USERS: ResourceType = ResourceType {
    name: "User",
    endpoint: "/Users",
    description: "The people of the roster that the provider manages",
    schema: &USER,
    extension: Some(&ENTERPRISE),
    dropped: &[
        "nickName",
        "profileUrl",
        "title",
        "userType",
        "preferredLanguage",
        "locale",
        "timezone",
        "password",
        "phoneNumbers",
        "ims",
        "photos",
        "addresses",
        "entitlements",
        "roles",
        "x509Certificates",
        "costCenter",
        "organization",
        "division",
        "manager",
    ],
};

pub(crate) static GROUPS: ResourceType = ResourceType {
    name: "Group",
    endpoint: "/Groups",
    description: "The provider's groups",
    schema: &GROUP,
    extension: None,
    dropped: &[],
};

impl ResourceType {
    /// The schema that `urn` names; none names the main one.
    pub(crate) fn schema_of(&self, urn: Option<&str>) -> Option<&'static Schema> {
        match urn {
            None => Some(self.schema),
            Some(urn) if urn.eq_ignore_ascii_case(self.schema.id) => Some(self.schema),
            Some(urn) => self.extension.filter(|e| urn.eq_ignore_ascii_case(e.id)),
        }
    }

    pub(crate) fn is_extension(&self, schema: &Schema) -> bool {
        self.extension.is_some_and(|e| e.id == schema.id)
    }

    pub(crate) fn drops(&self, name: &str) -> bool {
        self.dropped.iter().any(|d| d.eq_ignore_ascii_case(name))
    }
}
