//! Stub, replaced on merge.

use super::{HostError, Removal};
use crate::model::link::{AddressSnapshot, AddressSubject, LinkSnapshot};
use crate::model::route::{IpRuleSnapshot, IpRuleSubject, RouteSnapshot, RouteSubject};
use crate::model::subject::Subject;

/// Stub.
///
/// # Errors
/// Never.
pub fn delete_link(_subject: &Subject, _expected: &LinkSnapshot) -> Result<Removal, HostError> {
    Ok(Removal::AlreadyGone)
}

/// Stub.
///
/// # Errors
/// Never.
pub fn delete_address(_subject: &AddressSubject, _expected: &AddressSnapshot) -> Result<Removal, HostError> {
    Ok(Removal::AlreadyGone)
}

/// Stub.
///
/// # Errors
/// Never.
pub fn delete_route(_subject: &RouteSubject, _expected: &RouteSnapshot) -> Result<Removal, HostError> {
    Ok(Removal::AlreadyGone)
}

/// Stub.
///
/// # Errors
/// Never.
pub fn delete_ip_rule(_subject: &IpRuleSubject, _expected: &IpRuleSnapshot) -> Result<Removal, HostError> {
    Ok(Removal::AlreadyGone)
}
