//! Who calls: the tenant of an HTTP request and whether it comes from this machine.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use ironbark_storage::TenantId;

use super::{Http, HttpError};
use crate::tenant::{self, FORWARDED_HEADERS, Peer, TENANT_HEADER};

/// Who calls. A handler that takes one is refused to whoever has no tenant.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Whose data the request is about.
    pub(crate) tenant: TenantId,
}

/// Where a request comes from.
pub(super) fn peer(parts: &Parts) -> Peer {
    let address = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let forwarded = FORWARDED_HEADERS.iter().any(|header| parts.headers.contains_key(*header));
    Peer::of(address, forwarded)
}

impl FromRequestParts<Http> for Caller {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, _: &Http) -> Result<Self, Self::Rejection> {
        let header = parts.headers.get(TENANT_HEADER).map(axum::http::HeaderValue::as_bytes);
        Ok(Self { tenant: tenant::settle(header, peer(parts))? })
    }
}
