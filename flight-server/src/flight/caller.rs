//! Who calls: the tenant and whether the call comes from this machine.

use ironbark_storage::TenantId;
use tonic::{Request, Status};

use crate::tenant::{self, FORWARDED_HEADERS, Peer, TENANT_HEADER};

/// Who calls.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// Whose data the call is about.
    pub(super) tenant: TenantId,
    /// Where it comes from.
    pub(super) peer: Peer,
}

impl Caller {
    /// Settles who sent a request.
    pub(super) fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let metadata = request.metadata();
        let forwarded = FORWARDED_HEADERS.iter().any(|header| metadata.contains_key(*header));
        let peer = Peer::of(request.remote_addr().map(|address| address.ip()), forwarded);
        let header = metadata.get(TENANT_HEADER).map(tonic::metadata::MetadataValue::as_encoded_bytes);
        let tenant = tenant::settle(header, peer).map_err(|refusal| match refusal {
            tenant::Refusal::NotLocal(_) => Status::permission_denied(refusal.to_string()),
            _ => Status::invalid_argument(refusal.to_string()),
        })?;
        Ok(Self { tenant, peer })
    }

    /// Refuses calls from other machines to what only an operator may do.
    pub(super) fn must_be_local(&self, action: &str) -> Result<(), Status> {
        match self.peer {
            Peer::Local => Ok(()),
            Peer::Remote => Err(Status::permission_denied(format!(
                "{action} is for this machine only until requests are authenticated"
            ))),
        }
    }
}
