//! Canonical content: what the kernel counts while packets pass is taken out, everything else stays byte for byte.
//!
//! An expression's canonical form is its name and its attributes, without
//! - `counter`, `last`: all of them;
//! - `quota`: the bytes consumed, and the flag that it is used up;
//! - `match` of `recent` and `connlimit` in IPv4 rules: the twelve bytes of their mask that IPv6 alone has. `iptables`
//!   fills them by default and leaves them empty when the mask is given, as `iptables-save` gives it;
//! - `dynset`, and set elements and sets that carry expressions: the same for those expressions.
//!
//! `limit`, `connlimit` and `numgen` dump no state. xt matches and targets keep state of their own in the structure user
//! space gave them (limit, quota, statistic, hashlimit), but the kernel sends only the part user space defines
//! (`usersize`, Linux 4.11) and zeroes after it.

use super::attribute::{Attribute, attributes, be32, push_attribute};
use super::expression::{Expression, expressions};
use super::report::Reason;
use crate::model::digest::{Digest, DigestBuilder};
use crate::model::nft::Family;

/// `NFTA_QUOTA_FLAGS`, `NFTA_QUOTA_PAD`, `NFTA_QUOTA_CONSUMED`.
const QUOTA_FLAGS: u16 = 2;
const QUOTA_PAD: u16 = 3;
const QUOTA_CONSUMED: u16 = 4;
/// `NFT_QUOTA_F_DEPLETED`.
const QUOTA_DEPLETED: u32 = 2;
/// `NFTA_DYNSET_EXPR`, `NFTA_DYNSET_EXPRESSIONS`.
const DYNSET_EXPR: u16 = 7;
const DYNSET_EXPRESSIONS: u16 = 10;
/// `NFTA_LIST_ELEM`, `NFTA_EXPR_NAME`, `NFTA_EXPR_DATA`.
const LIST_ELEM: u16 = 1;
const EXPR_NAME: u16 = 1;
const EXPR_DATA: u16 = 2;

/// `NFTA_MATCH_NAME`, `NFTA_MATCH_REV`, `NFTA_MATCH_INFO`.
const MATCH_NAME: u16 = 1;
const MATCH_REV: u16 = 2;
const MATCH_INFO: u16 = 3;

/// Digest of a rule's content: expressions, userdata and compat; not its handle and not its place.
pub(crate) fn rule_digest(family: Family, list: &[u8], userdata: &[u8], compat: &[u8]) -> Result<Digest, Reason> {
    let mut digest = DigestBuilder::new("nft-rule");
    let mut stable = Vec::new();
    for expression in expressions(list) {
        let expression = expression?;
        stable.clear();
        match expression.name {
            b"dynset" => push_stable_dynset(&mut stable, expression.data)?,
            b"match" if family == Family::Ip => push_stable_match(&mut stable, expression.data)?,
            _ => push_stable_data(&mut stable, &expression)?,
        }
        digest.field(expression.name).field(&stable);
    }
    Ok(digest.field(b"").field(userdata).field(compat).finish())
}

/// Appends an `NFTA_LIST_ELEM` list of expressions without their state.
pub(crate) fn push_stable_list(out: &mut Vec<u8>, list: &[u8]) -> Result<(), Reason> {
    for expression in expressions(list) {
        let mut element = Vec::new();
        push_stable_expression(&mut element, &expression?)?;
        push_attribute(out, LIST_ELEM, &element);
    }
    Ok(())
}

/// Appends one expression (`NFTA_EXPR_*`) without its state.
pub(crate) fn push_stable_expression(out: &mut Vec<u8>, expression: &Expression<'_>) -> Result<(), Reason> {
    let mut data = Vec::new();
    push_stable_data(&mut data, expression)?;
    push_attribute(out, EXPR_NAME, expression.name);
    push_attribute(out, EXPR_DATA, &data);
    Ok(())
}

/// Appends a quota's attributes (`NFTA_QUOTA_*`) without what is consumed.
pub(crate) fn push_stable_quota(out: &mut Vec<u8>, data: &[u8]) -> Result<(), Reason> {
    for attribute in attributes(data) {
        match attribute? {
            Attribute { kind: QUOTA_CONSUMED | QUOTA_PAD, .. } => {}
            Attribute { kind: QUOTA_FLAGS, value } => {
                push_attribute(out, QUOTA_FLAGS, &(be32(value)? & !QUOTA_DEPLETED).to_be_bytes());
            }
            Attribute { kind, value } => push_attribute(out, kind, value),
        }
    }
    Ok(())
}

/// Appends an xt match of an IPv4 rule without the part of its mask that means nothing there.
fn push_stable_match(out: &mut Vec<u8>, data: &[u8]) -> Result<(), Reason> {
    let mut unused = None;
    let mut named: &[u8] = b"";
    for attribute in attributes(data) {
        let Attribute { kind, value } = attribute?;
        match kind {
            MATCH_NAME => named = value,
            // `struct xt_recent_mtinfo_v1`, `struct xt_connlimit_info`: in both the name comes before the revision
            MATCH_REV if be32(value)? == 1 && named == b"recent\0" => unused = Some(216..228),
            MATCH_REV if named == b"connlimit\0" => unused = Some(4..16),
            MATCH_INFO if unused.as_ref().is_some_and(|unused| value.get(unused.clone()).is_some()) => {
                let mut stable = value.to_vec();
                stable[unused.take().unwrap_or_default()].fill(0);
                push_attribute(out, kind, &stable);
                continue;
            }
            _ => {}
        }
        push_attribute(out, kind, value);
    }
    Ok(())
}

/// The expressions a dynset gives its elements hold no dynset themselves, so this does not recurse.
fn push_stable_dynset(out: &mut Vec<u8>, data: &[u8]) -> Result<(), Reason> {
    for attribute in attributes(data) {
        let Attribute { kind, value } = attribute?;
        let mut inner = Vec::new();
        match kind {
            DYNSET_EXPR => push_stable_expression(&mut inner, &Expression::parse(value)?)?,
            DYNSET_EXPRESSIONS => push_stable_list(&mut inner, value)?,
            _ => inner.extend_from_slice(value),
        }
        push_attribute(out, kind, &inner);
    }
    Ok(())
}

fn push_stable_data(out: &mut Vec<u8>, expression: &Expression<'_>) -> Result<(), Reason> {
    match expression.name {
        b"counter" | b"last" => Ok(()),
        b"quota" => push_stable_quota(out, expression.data),
        _ => {
            out.extend_from_slice(expression.data);
            Ok(())
        }
    }
}
