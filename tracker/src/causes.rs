//! Errors as one line of text: for the log, for operations in the journal, for answers on the socket.

use std::error::Error;

/// An error and what caused it, outermost first: `cannot use the journal: cannot write: no space left on device`.
///
/// `Display` of netdeed's errors never includes the source, so nothing is said twice.
pub fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(&format!(": {source}"));
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Trouble {
        #[error("outer")]
        Outer(#[source] Box<Trouble>),
        #[error("inner")]
        Inner,
    }

    #[test]
    fn the_outermost_comes_first() {
        assert_eq!(causes(&Trouble::Inner), "inner");
        let chain = Trouble::Outer(Box::new(Trouble::Outer(Box::new(Trouble::Inner))));
        assert_eq!(causes(&chain), "outer: outer: inner");
    }
}
