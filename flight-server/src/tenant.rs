//! Who a request is for, settled once by both protocols under one rule.
//!
//! Nothing authenticates requests yet. Until then whoever sits at this machine may name any tenant, and everybody
//! else (possible only with `--allow-unauthenticated`) gets the default tenant and nothing more.

use std::net::IpAddr;

use ironbark_storage::TenantId;

/// The header that names the tenant, in HTTP and in Flight.
pub const TENANT_HEADER: &str = "x-ironbark-tenant";

/// Headers by which a proxy on this machine says that it speaks for somebody else.
pub(crate) const FORWARDED_HEADERS: [&str; 3] = ["forwarded", "x-forwarded-for", "x-real-ip"];

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// From this machine, and not through a proxy.
    Local,
    /// From elsewhere, or nobody knows.
    Remote,
}

impl Peer {
    /// Judges by the address at the other end of the connection, unless a proxy says that it only passes on.
    pub(crate) fn of(address: Option<IpAddr>, forwarded: bool) -> Self {
        match address {
            Some(address) if address.to_canonical().is_loopback() && !forwarded => Self::Local,
            _ => Self::Remote,
        }
    }
}

/// Why a request has no tenant.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// The header is not a tenant's name.
    #[error("header {TENANT_HEADER}: {0}")]
    BadName(#[from] ironbark_storage::Error),
    /// The header is not text.
    #[error("header {TENANT_HEADER}: it is not ASCII text; a tenant is customer/project/environment")]
    NotText,
    /// Another tenant than the default was named from another machine.
    #[error(
        "tenant {0} was named from another machine: until requests are authenticated only this machine may name \
         other tenants than default/default/default; leave the header {TENANT_HEADER} out"
    )]
    NotLocal(TenantId),
}

/// The tenant of a request, by its header and by where it comes from.
pub(crate) fn settle(header: Option<&[u8]>, peer: Peer) -> Result<TenantId, Refusal> {
    let Some(header) = header else { return Ok(TenantId::default()) };
    let tenant: TenantId = std::str::from_utf8(header).map_err(|_| Refusal::NotText)?.trim().parse()?;
    match peer {
        Peer::Local => Ok(tenant),
        Peer::Remote if tenant == TenantId::default() => Ok(tenant),
        Peer::Remote => Err(Refusal::NotLocal(tenant)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_names_other_tenants() {
        let local = Peer::of(Some("::ffff:127.0.0.1".parse().unwrap()), false);
        let remote = Peer::of(Some("10.0.0.7".parse().unwrap()), false);
        assert_eq!((local, remote), (Peer::Local, Peer::Remote));
        assert_eq!(Peer::of(Some("127.0.0.1".parse().unwrap()), true), Peer::Remote);
        assert_eq!(Peer::of(None, false), Peer::Remote);

        let acme = Some(b"acme/web/prod".as_slice());
        assert_eq!(settle(acme, local).unwrap().as_str(), "acme/web/prod");
        assert!(matches!(settle(acme, remote), Err(Refusal::NotLocal(_))));
        assert_eq!(settle(Some(b"default/default/default"), remote).unwrap(), TenantId::default());
        assert_eq!(settle(None, remote).unwrap(), TenantId::default());
        assert!(matches!(settle(Some(b"acme"), local), Err(Refusal::BadName(_))));
        assert!(matches!(settle(Some(b"\xff"), local), Err(Refusal::NotText)));
    }
}
