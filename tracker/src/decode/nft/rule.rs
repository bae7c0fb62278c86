//! Rules.

use super::attribute::{be64, fields, required, string};
use super::canonical::rule_digest;
use super::expression::{References, expressions};
use super::report::Reason;
use super::table::table_ref;
use crate::model::ids::{ChainName, Handle};
use crate::model::nft::{Family, NftItem, NftSnapshot, RuleSnapshot, TableRef};

/// `NFTNL_UDATA_RULE_COMMENT`.
const UDATA_COMMENT: u8 = 0;

/// Reads `NFTA_RULE_*`. The position is not content: it is the handle of the rule before.
pub(super) fn rule(family: Family, attributes: &[u8]) -> Result<(TableRef, NftItem, NftSnapshot), Reason> {
    let [_, table, chain, handle, list, compat, _position, userdata] = fields::<8>(attributes)?;
    let item = item(chain, handle)?;
    let (list, compat) = (list.unwrap_or_default(), compat.unwrap_or_default());
    let userdata = userdata.unwrap_or_default();
    let mut references = References::default();
    for expression in expressions(list) {
        references.add(&expression?)?;
    }
    let comment = match_comment(list).or_else(|| userdata_comment(userdata));
    let References { chains, sets, objects } = references;
    let snapshot = RuleSnapshot {
        content: rule_digest(family, list, userdata, compat)?,
        expressions: list.to_vec(),
        compat: compat.to_vec(),
        userdata: userdata.to_vec(),
        chains,
        sets,
        objects,
        comment,
    };
    Ok((table_ref(family, table)?, item, NftSnapshot::Rule(snapshot)))
}

/// Names the rule a deletion is about.
pub(super) fn deleted_rule(family: Family, attributes: &[u8]) -> Result<(TableRef, NftItem), Reason> {
    let [_, table, chain, handle] = fields::<4>(attributes)?;
    Ok((table_ref(family, table)?, item(chain, handle)?))
}

fn item(chain: Option<&[u8]>, handle: Option<&[u8]>) -> Result<NftItem, Reason> {
    let chain = ChainName::new(string(required(chain, "rule's chain")?));
    Ok(NftItem::Rule { chain, handle: Handle(be64(required(handle, "rule handle")?)?) })
}

/// The text of the xt `comment` match: 256 bytes, NUL-terminated.
fn match_comment(list: &[u8]) -> Option<String> {
    expressions(list).flatten().filter(|expression| expression.name == b"match").find_map(|expression| {
        // NFTA_MATCH_NAME = 1, NFTA_MATCH_REV = 2, NFTA_MATCH_INFO = 3
        let [_, name, _, info] = fields::<4>(expression.data).ok()?;
        (string(name?) == "comment").then_some(info).flatten().map(|info| string(info).into_owned())
    })
}

/// The comment nft(8) stores: a run of type (1 byte), length (1 byte), value.
fn userdata_comment(mut userdata: &[u8]) -> Option<String> {
    while let [kind, length, rest @ ..] = userdata {
        let (value, rest) = rest.split_at_checked(usize::from(*length))?;
        if *kind == UDATA_COMMENT {
            return Some(string(value).into_owned());
        }
        userdata = rest;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_comment_behind_other_userdata() {
        // type 2, length 1; type 0 (comment), length 3, "hi" with its NUL
        assert_eq!(userdata_comment(&[2, 1, 0xaa, 0, 3, b'h', b'i', 0]).as_deref(), Some("hi"));
        assert_eq!(userdata_comment(&[0, 9, b'h']), None);
        assert_eq!(userdata_comment(&[]), None);
    }
}
