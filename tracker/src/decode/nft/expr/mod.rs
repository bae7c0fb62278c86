//! nf_tables expressions with their attributes typed, borrowed from the rule's bytes.
//!
//! Total: what is not understood is there under its name with its bytes and does not disturb its neighbours. An
//! expression that has an attribute this version does not know keeps its type, with the attribute in
//! [`Expression::unknown`]: whoever shows or compares it must say that it is not all.

mod attributes;
mod compare;
mod data;
mod load;
mod state;
mod statement;
#[cfg(test)]
mod tests;

pub use attributes::Unknown;
pub use compare::{Bitwise, Byteorder, Compare, Immediate, Lookup, Range};
pub use data::Data;
pub use load::{Ct, Exthdr, Fib, Hash, Meta, Numgen, Osf, Payload, Rt, Socket, Xfrm};
pub use state::{Connlimit, Counter, Last, Limit, Quota};
pub use statement::{
    Duplicate, Dynset, FlowOffload, Forward, Log, Masquerade, Nat, ObjectReference, Queue, Redirect, Reject, Synproxy,
    Tproxy, Xt,
};

use super::attribute::{Attribute, attributes};
use super::expression;

/// One expression of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression<'a> {
    /// The kernel's name of it, `payload` for example; empty where the list itself is broken.
    pub name: &'a [u8],
    /// `NFTA_EXPR_DATA` as sent.
    pub data: &'a [u8],
    /// What it does.
    pub kind: Kind<'a>,
    /// Attributes this version does not know.
    pub unknown: Unknown<'a>,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:literal $kind:ident($type:ident),)*) => {
        /// What an expression does.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Kind<'a> {
            $($(#[$doc])* $kind($type<'a>),)*
            /// Turn connection tracking off for the packet.
            Notrack,
            /// An expression of another name, or one whose attributes are not as expected.
            Unknown,
        }

        impl<'a> Kind<'a> {
            fn parse(name: &[u8], data: &'a [u8], unknown: &mut Unknown<'a>) -> Option<Self> {
                match name {
                    $(name if name == $name.as_bytes() => $type::parse(data, unknown).map(Self::$kind),)*
                    b"notrack" => Some(Self::Notrack),
                    _ => None,
                }
            }
        }
    };
}

// in the order of how often rules have them
kinds! {
    /// Load or write bytes of the packet.
    "payload" Payload(Payload),
    /// Compare a register with a constant.
    "cmp" Compare(Compare),
    /// Load or write meta information of the packet.
    "meta" Meta(Meta),
    /// Put a constant into a register, or a verdict.
    "immediate" Immediate(Immediate),
    /// Count packets and bytes.
    "counter" Counter(Counter),
    /// Mask, xor or shift a register.
    "bitwise" Bitwise(Bitwise),
    /// Look a register up in a set or map.
    "lookup" Lookup(Lookup),
    /// An xtables match.
    "match" Match(Xt),
    /// An xtables target.
    "target" Target(Xt),
    /// Load or write connection tracking information.
    "ct" Ct(Ct),
    /// Compare a register with a range.
    "range" Range(Range),
    /// Ask the routing table.
    "fib" Fib(Fib),
    /// Change the source or destination.
    "nat" Nat(Nat),
    /// Take the source address of the outgoing link.
    "masq" Masquerade(Masquerade),
    /// Change the destination to this machine.
    "redir" Redirect(Redirect),
    /// Refuse with an answer.
    "reject" Reject(Reject),
    /// Limit the rate.
    "limit" Limit(Limit),
    /// Log, or give to a log group.
    "log" Log(Log),
    /// Give to a process.
    "queue" Queue(Queue),
    /// Limit a volume.
    "quota" Quota(Quota),
    /// Use a stateful object.
    "objref" ObjectReference(ObjectReference),
    /// Add to, update or delete from a set.
    "dynset" Dynset(Dynset),
    /// Count connections.
    "connlimit" Connlimit(Connlimit),
    /// Load, write or remove an extension header or option.
    "exthdr" Exthdr(Exthdr),
    /// The same under its older name.
    "tcpopt" TcpOption(Exthdr),
    /// Load routing information.
    "rt" Rt(Rt),
    /// Load information about the socket.
    "socket" Socket(Socket),
    /// Guess the operating system.
    "osf" Osf(Osf),
    /// Generate a number.
    "numgen" Numgen(Numgen),
    /// Compute a hash.
    "hash" Hash(Hash),
    /// Change the byte order of a register.
    "byteorder" Byteorder(Byteorder),
    /// Hand to a transparent proxy.
    "tproxy" Tproxy(Tproxy),
    /// Send a copy elsewhere.
    "dup" Duplicate(Duplicate),
    /// Send elsewhere.
    "fwd" Forward(Forward),
    /// Answer SYN packets in the server's stead.
    "synproxy" Synproxy(Synproxy),
    /// Offload the connection to a flowtable.
    "flow_offload" FlowOffload(FlowOffload),
    /// Remember when it was last reached.
    "last" Last(Last),
    /// Load information of an IPsec policy.
    "xfrm" Xfrm(Xfrm),
}

/// The expressions of a list (`NFTA_RULE_EXPRESSIONS` payload). An element that is no expression is an unknown one
/// without a name that has its bytes; bytes that are no list end it with one that has them all.
pub fn decode(list: &[u8]) -> impl Iterator<Item = Expression<'_>> {
    let nameless = |data| Expression { name: b"", data, kind: Kind::Unknown, unknown: Unknown::default() };
    attributes(list).map(move |attribute| match attribute {
        Ok(element) => one(element).unwrap_or_else(|_| nameless(element.value)),
        Err(_) => nameless(list),
    })
}

/// One expression (`NFTA_EXPR_*`), as in sets and dynamic sets; `None` where the bytes are none.
pub fn decode_one(bytes: &[u8]) -> Option<Expression<'_>> {
    expression::Expression::parse(bytes).ok().map(typed)
}

/// What an expression of this name with these attributes does, as stateful objects have them; `None` where it is not
/// understood wholly.
pub(crate) fn kind<'a>(name: &[u8], data: &'a [u8]) -> Option<Kind<'a>> {
    let mut unknown = Unknown::default();
    Kind::parse(name, data, &mut unknown).filter(|_| unknown.is_empty())
}

fn one(element: Attribute<'_>) -> Result<Expression<'_>, super::Reason> {
    // NFTA_LIST_ELEM = 1
    if element.kind != 1 {
        return Err(super::Reason::Malformed("expression list"));
    }
    expression::Expression::parse(element.value).map(typed)
}

fn typed<'a>(expression: expression::Expression<'a>) -> Expression<'a> {
    let expression::Expression { name, data } = expression;
    let mut unknown = Unknown::default();
    let kind = Kind::parse(name, data, &mut unknown).unwrap_or(Kind::Unknown);
    Expression { name, data, kind, unknown }
}
