//! Tenants and tables: who owns rows, and under which name.
//!
//! Both are parsed once and are valid ever after. They say nothing about rights: a request's tenant is settled by
//! the protocol that received it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::{Error, Result};

/// Longest part of a tenant and longest table name, in bytes.
pub const NAME_BYTES_MAX: usize = 63;

/// The table that every tenant has.
pub const DEFAULT_TABLE: &str = "logs";

/// A tenant: `customer/project/environment`.
///
/// Invariants: three parts, each `[a-z0-9][a-z0-9-]*` of at most [`NAME_BYTES_MAX`] bytes; project and environment
/// are not `information/schema`, whose SQL name would be taken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId {
    text: Arc<str>,
    customer_end: usize,
    project_end: usize,
}

impl TenantId {
    /// The customer: the SQL catalog.
    pub fn customer(&self) -> &str {
        self.text.get(..self.customer_end).unwrap_or_default()
    }

    /// The project.
    pub fn project(&self) -> &str {
        self.text.get(self.customer_end + 1..self.project_end).unwrap_or_default()
    }

    /// The environment.
    pub fn environment(&self) -> &str {
        self.text.get(self.project_end + 1..).unwrap_or_default()
    }

    /// The SQL schema: `project_environment`. Parts hold no `_`, so two tenants never share one.
    pub fn sql_schema(&self) -> String {
        format!("{}_{}", self.project(), self.environment())
    }

    /// The whole name, as it is sent and as object keys start.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Default for TenantId {
    fn default() -> Self {
        Self { text: Arc::from("default/default/default"), customer_end: 7, project_end: 15 }
    }
}

impl FromStr for TenantId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |reason: &str| {
            Err(Error::InvalidName {
                what: "tenant",
                value: text.chars().take(256).collect(),
                reason: format!("{reason}; a tenant is customer/project/environment, as in acme/web/prod"),
            })
        };
        let parts: Vec<&str> = text.split('/').collect();
        let [customer, project, environment] = parts.as_slice() else {
            return refuse("it has not three parts");
        };
        for part in [customer, project, environment] {
            if part.is_empty() || part.len() > NAME_BYTES_MAX {
                return refuse("a part must have 1 to 63 characters");
            }
            let ok = part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            if !ok || part.starts_with('-') {
                return refuse("a part has only a-z, 0-9 and -, and does not begin with -");
            }
        }
        if *project == "information" && *environment == "schema" {
            return refuse("information/schema is taken by SQL's information_schema");
        }
        let customer_end = customer.len();
        Ok(Self { text: Arc::from(text), customer_end, project_end: customer_end + 1 + project.len() })
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl serde::Serialize for TenantId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> serde::Deserialize<'de> for TenantId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The name of a table of logs.
///
/// Invariants: `[a-z][a-z0-9_]*` of at most [`NAME_BYTES_MAX`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct TableName(Arc<str>);

impl TableName {
    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the table that every tenant has.
    pub fn is_default(&self) -> bool {
        &*self.0 == DEFAULT_TABLE
    }
}

impl Default for TableName {
    fn default() -> Self {
        Self(Arc::from(DEFAULT_TABLE))
    }
}

impl FromStr for TableName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let ok = text.len() <= NAME_BYTES_MAX
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if ok {
            return Ok(Self(Arc::from(text)));
        }
        Err(Error::InvalidName {
            what: "table",
            value: text.chars().take(256).collect(),
            reason: "a table name has 1 to 63 of a-z, 0-9 and _ and begins with a letter, as in audit_events"
                .into(),
        })
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for TableName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A table of a tenant: what a manifest, a buffer and a query are about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct TableRef {
    /// The owner.
    pub tenant: TenantId,
    /// The table's name.
    pub table: TableName,
}

impl TableRef {
    /// The `logs` table of a tenant.
    pub fn logs(tenant: TenantId) -> Self {
        Self { tenant, table: TableName::default() }
    }
}

impl fmt::Display for TableRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenant_has_three_parts() {
        let tenant: TenantId = "acme/web-shop/prod".parse().unwrap();
        assert_eq!((tenant.customer(), tenant.project(), tenant.environment()), ("acme", "web-shop", "prod"));
        assert_eq!(tenant.sql_schema(), "web-shop_prod");
        assert_eq!(TenantId::default(), "default/default/default".parse().unwrap());
        assert_eq!(TenantId::default().environment(), "default");
    }

    #[test]
    fn bad_tenants_are_refused() {
        for bad in [
            "",
            "a",
            "a/b",
            "a/b/c/d",
            "A/b/c",
            "a//c",
            "-a/b/c",
            "a/../c",
            "a/b_c/d",
            "x/information/schema",
        ] {
            assert!(bad.parse::<TenantId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn bad_tables_are_refused() {
        assert!("audit_events".parse::<TableName>().is_ok());
        for bad in ["", "1a", "_a", "Logs", "a-b", "a.b", "a/b"] {
            assert!(bad.parse::<TableName>().is_err(), "{bad}");
        }
    }
}
