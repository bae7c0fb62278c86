//! Rule expressions: how to walk them and what they refer to.

use netlink_packet_netfilter::nftables::Verdict;

use super::attribute::{Attribute, attributes, be32, fields, string};
use super::report::Reason;
use crate::model::ids::{ChainName, ObjectName, SetName};

/// `NFTA_LIST_ELEM`.
const LIST_ELEM: u16 = 1;

/// One expression, as in `NFTA_LIST_ELEM`: its name and its own attributes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expression<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) data: &'a [u8],
}

impl<'a> Expression<'a> {
    /// Reads `NFTA_EXPR_NAME` and `NFTA_EXPR_DATA`; the kernel leaves the data out for expressions without attributes.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Reason> {
        let [_, name, data] = fields::<3>(bytes)?;
        let name = name.ok_or(Reason::Missing("expression name"))?;
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        Ok(Self { name: &name[..end], data: data.unwrap_or_default() })
    }
}

/// The expressions of a list (`NFTA_RULE_EXPRESSIONS`, `NFTA_SET_ELEM_EXPRESSIONS` and so on).
pub(crate) fn expressions(list: &[u8]) -> impl Iterator<Item = Result<Expression<'_>, Reason>> {
    attributes(list).filter_map(|attribute| match attribute {
        Ok(Attribute { kind: LIST_ELEM, value }) => Some(Expression::parse(value)),
        Ok(_) => None,
        Err(reason) => Some(Err(reason)),
    })
}

/// What an `NFTA_DATA_*` nest holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Data<'a> {
    /// Bytes for a register.
    Value(&'a [u8]),
    /// A verdict, with its chain for jump and goto.
    Verdict(Verdict, Option<&'a [u8]>),
}

impl<'a> Data<'a> {
    /// Reads `NFTA_DATA_VALUE` or `NFTA_DATA_VERDICT`.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Reason> {
        match fields::<3>(bytes)? {
            [_, _, Some(verdict)] => {
                let [_, code, chain] = fields::<3>(verdict)?;
                Ok(Self::Verdict(be32(code.ok_or(Reason::Missing("verdict code"))?)?.into(), chain))
            }
            [_, Some(value), None] => Ok(Self::Value(value)),
            _ => Err(Reason::Missing("data value")),
        }
    }

    /// The chain a verdict jumps or goes to.
    pub(crate) fn chain(self) -> Option<ChainName> {
        match self {
            Self::Verdict(Verdict::Jump | Verdict::Goto, Some(chain)) => Some(ChainName::new(string(chain))),
            _ => None,
        }
    }
}

/// The named things a rule cannot do without.
#[derive(Debug, Default)]
pub(crate) struct References {
    pub(crate) chains: Vec<ChainName>,
    pub(crate) sets: Vec<SetName>,
    pub(crate) objects: Vec<ObjectName>,
}

impl References {
    /// Adds what one expression refers to.
    pub(crate) fn add(&mut self, expression: &Expression<'_>) -> Result<(), Reason> {
        match expression.name {
            b"immediate" => {
                // NFTA_IMMEDIATE_DATA = 2
                if let [_, _, Some(data)] = fields::<3>(expression.data)? {
                    self.chains.extend(Data::parse(data)?.chain());
                }
            }
            // NFTA_LOOKUP_SET = NFTA_DYNSET_SET_NAME = 1
            b"lookup" | b"dynset" => {
                if let [_, Some(set)] = fields::<2>(expression.data)? {
                    self.sets.push(SetName::new(string(set)));
                }
            }
            b"objref" => {
                // NFTA_OBJREF_IMM_NAME = 2, NFTA_OBJREF_SET_NAME = 4
                let [_, _, name, _, set] = fields::<5>(expression.data)?;
                self.objects.extend(name.map(|name| ObjectName::new(string(name))));
                self.sets.extend(set.map(|set| SetName::new(string(set))));
            }
            // NFTA_FLOW_TABLE_NAME = 1
            b"flow_offload" => {
                if let [_, Some(flowtable)] = fields::<2>(expression.data)? {
                    self.objects.push(ObjectName::new(string(flowtable)));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
