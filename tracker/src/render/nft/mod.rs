//! Rules as `nft -s list ruleset` lists them.
//!
//! The kernel's expressions are put together again to statements. What nft added by itself when the rule was made, and
//! leaves out when it lists, is left out: see [`context`]. Values of `meta time` and `meta hour` are not written, as nft
//! writes them in the time zone of the machine it runs on.

mod blocks;
mod compare;
mod context;
mod datatype;
mod declaration;
mod dynset;
mod elements;
mod exthdr;
mod keys;
mod listing;
mod lookup;
mod nat;
mod object;
mod operand;
mod payload;
mod protocol;
mod registers;
mod set;
mod statement;
mod symbols;
mod value;
mod write;

pub use self::blocks::{base_chain, elements, flowtable_lines, object_lines, set_declaration};
use self::compare::Bound;
use self::context::Context;
pub use self::listing::{hook_name, nft_ruleset, nft_table};
use self::registers::{Held, Load, Operation, Registers, Source};
use self::value::Style;
use super::{Rendered, Surroundings};
use crate::decode::nft::expr::{self, Bitwise, Byteorder, Data, Expression, Kind};
use crate::model::nft::{Family, RuleSnapshot};

/// A rule while its statements are put together.
struct Rule<'a> {
    surroundings: &'a dyn Surroundings,
    context: Context,
    registers: Registers<'a>,
    /// Each with whether it is left out.
    statements: Vec<(String, bool)>,
    /// Those left out since the last expression was taken.
    left_out: Vec<usize>,
    /// The last statement, where it may be one end of a range.
    bound: Option<Bound>,
    is_exact: bool,
}

/// The rule's line in the words of `nft -s list ruleset` 1.0.6, with its comment, without its handle.
///
/// Elements of anonymous sets, the lengths of named ones and the names of links are asked from `surroundings`.
pub fn nft(family: Family, rule: &RuleSnapshot, surroundings: &dyn Surroundings) -> Rendered {
    let mut state = Rule::new(family, surroundings);
    for expression in expr::decode(&rule.expressions) {
        let before = state.statements.len();
        state.left_out.clear();
        if !expression.unknown.is_empty() || state.take(&expression).is_none() {
            state.statements.truncate(before);
            for index in std::mem::take(&mut state.left_out) {
                if let Some((_, is_left_out)) = state.statements.get_mut(index) {
                    *is_left_out = false;
                }
            }
            state.give_up(&expression);
        }
    }
    let mut text = String::with_capacity(128);
    for (statement, _) in state.statements.iter().filter(|(_, is_left_out)| !is_left_out) {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(statement);
    }
    if let Some(comment) = rule.comment.as_deref().filter(|_| !rule.userdata.is_empty()) {
        text.push_str(if text.is_empty() { "comment " } else { " comment " });
        if value::quoted(&mut text, comment.as_bytes()).is_none() {
            text.push_str(&format!("[{}]", comment.escape_default()));
            state.is_exact = false;
        }
    }
    Rendered { text, is_exact: state.is_exact }
}

impl<'a> Rule<'a> {
    fn new(family: Family, surroundings: &'a dyn Surroundings) -> Self {
        Self {
            surroundings,
            context: Context::new(family),
            registers: Registers::default(),
            statements: Vec::new(),
            left_out: Vec::new(),
            bound: None,
            is_exact: true,
        }
    }

    fn style(&self) -> Style<'a> {
        Style { surroundings: self.surroundings, is_numeric: false }
    }

    /// Adds a statement with effects: what came before it is not left out any more.
    fn push(&mut self, text: impl Into<String>) -> Option<()> {
        self.statements.push((text.into(), false));
        self.context.settle();
        self.bound = None;
        Some(())
    }

    /// Adds a comparison.
    fn push_match(&mut self, text: impl Into<String>) -> Option<()> {
        self.statements.push((text.into(), false));
        self.bound = None;
        Some(())
    }

    fn leave_out(&mut self, statement: Option<usize>) {
        if let Some(index) = statement
            && let Some((_, is_left_out)) = self.statements.get_mut(index)
        {
            *is_left_out = true;
            self.left_out.push(index);
        }
    }

    fn give_up(&mut self, expression: &Expression<'_>) {
        // what it may have written is not known
        self.registers.forget();
        self.is_exact = false;
        let mut what = expression.name.escape_ascii().to_string();
        if let Kind::Match(xt) | Kind::Target(xt) = &expression.kind {
            let name = xt.name.split(|byte| *byte == 0).next().unwrap_or_default();
            what = format!("xt {what} {} revision {}", name.escape_ascii(), xt.revision);
        }
        let _ = self.push(format!("[{what}]"));
    }

    /// Takes one expression; `None` where it cannot be written.
    fn take(&mut self, expression: &Expression<'a>) -> Option<()> {
        match &expression.kind {
            Kind::Payload(payload) if payload.source.is_some() => self.write_payload(payload),
            Kind::Payload(payload) => {
                let (offset, bits) = (payload.offset.checked_mul(8)?, payload.length.checked_mul(8)?);
                let source = Source::Payload { base: payload.base, offset, bits };
                let length = usize::try_from(payload.length).ok()?;
                self.hold(payload.register?, Load { source, length, is_swapped: false, operations: Vec::new() })
            }
            Kind::Meta(meta) if meta.source.is_some() => self.write_meta(meta),
            Kind::Meta(meta) => self.hold(meta.register?, keys::meta(meta)?),
            Kind::Ct(ct) if ct.source.is_some() => self.write_ct(ct),
            Kind::Ct(ct) => self.hold(ct.register?, keys::ct(ct, self.context.family)?),
            Kind::Rt(rt) => self.hold(rt.register, keys::rt(rt)?),
            Kind::Socket(socket) => self.hold(socket.register, keys::socket(socket)?),
            Kind::Osf(osf) => self.hold(osf.register, keys::osf(osf)?),
            Kind::Fib(fib) => self.hold(fib.register, keys::fib(fib)?),
            Kind::Numgen(numgen) => self.hold(numgen.register, keys::numgen(numgen)?),
            Kind::Xfrm(xfrm) => self.hold(xfrm.register, keys::xfrm(xfrm)?),
            Kind::Hash(hash) => self.hash(hash),
            Kind::Exthdr(exthdr) | Kind::TcpOption(exthdr) => self.exthdr(exthdr),
            Kind::Bitwise(bitwise) => self.bitwise(bitwise),
            Kind::Byteorder(byteorder) => self.byteorder(byteorder),
            Kind::Compare(compare) => self.compare(compare),
            Kind::Range(range) => self.range(range),
            Kind::Lookup(lookup) => self.lookup(lookup),
            Kind::Immediate(immediate) => match immediate.data {
                Data::Value(value) => self.registers.set(immediate.register, Held::Constant(value)),
                verdict => {
                    let text = statement::verdict(verdict)?;
                    self.push(text)
                }
            },
            Kind::Dynset(dynset) => self.dynset(dynset),
            Kind::Nat(nat) => self.nat(nat),
            Kind::Masquerade(masquerade) => self.masquerade(masquerade),
            Kind::Redirect(redirect) => self.redirect(redirect),
            Kind::Tproxy(tproxy) => self.tproxy(tproxy),
            Kind::Duplicate(duplicate) => self.duplicate(duplicate),
            Kind::Forward(forward) => self.forward(forward),
            Kind::Reject(reject) => self.reject(reject),
            Kind::ObjectReference(reference) => self.object(reference),
            Kind::Queue(queue) => self.queue(queue),
            Kind::Match(_) | Kind::Target(_) | Kind::Unknown => None,
            other => {
                let text = statement::plain(other)?;
                self.push(text)
            }
        }
    }

    fn hold(&mut self, register: u32, load: Load<'a>) -> Option<()> {
        self.registers.set(register, Held::Load(load))
    }

    fn bitwise(&mut self, bitwise: &Bitwise<'a>) -> Option<()> {
        let mut load = self.registers.load(bitwise.source)?.clone();
        let is_swapped = load.is_swapped;
        load.operations.push(match bitwise.operation.unwrap_or_default() {
            0 => Operation::Bits { mask: bitwise.mask?.value()?, xor: bitwise.xor?.value()?, is_swapped },
            1 => Operation::Left(u32::from_ne_bytes(bitwise.data?.value()?.try_into().ok()?)),
            2 => Operation::Right(u32::from_ne_bytes(bitwise.data?.value()?.try_into().ok()?)),
            _ => return None,
        });
        self.hold(bitwise.register, load)
    }

    fn byteorder(&mut self, byteorder: &Byteorder<'_>) -> Option<()> {
        let mut load = self.registers.load(byteorder.source)?.clone();
        load.is_swapped = !load.is_swapped;
        self.hold(byteorder.register, load)
    }

    fn hash(&mut self, hash: &expr::Hash<'a>) -> Option<()> {
        let offset = match hash.offset.unwrap_or_default() {
            0 => String::new(),
            offset => format!(" offset {offset}"),
        };
        let rest = match (hash.kind.unwrap_or_default(), hash.seed.unwrap_or_default()) {
            (1, _) => {
                let load =
                    keys::named(format!("symhash mod {}{offset}", hash.modulus), datatype::Datatype::HostInteger, 4);
                return self.hold(hash.register, load);
            }
            (0, 0) => format!(" mod {}{offset}", hash.modulus),
            (0, seed) => format!(" mod {} seed {seed:#x}{offset}", hash.modulus),
            _ => return None,
        };
        let parts = self.registers.concatenation(hash.source?, usize::try_from(hash.length?).ok()?)?;
        let source = Source::Hash { parts, rest };
        self.hold(hash.register, Load { source, length: 4, is_swapped: false, operations: Vec::new() })
    }

    fn exthdr(&mut self, exthdr: &expr::Exthdr<'a>) -> Option<()> {
        match (exthdr.register, exthdr.source) {
            (Some(register), _) => self.hold(register, exthdr::load(exthdr)?),
            (None, Some(source)) => self.write_exthdr(exthdr, source),
            (None, None) => {
                let text = exthdr::removed(exthdr)?;
                self.push(text)
            }
        }
    }
}
