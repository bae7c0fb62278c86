//! User names, for owners like `admin/alice`.

use std::collections::BTreeMap;

/// Tells a user's name.
pub trait Users {
    /// Name of a user id; `None` when it has none.
    fn name(&self, uid: u32) -> Option<String>;
}

impl<F: Fn(u32) -> Option<String>> Users for F {
    fn name(&self, uid: u32) -> Option<String> {
        self(uid)
    }
}

/// Users of a passwd(5) file; users of a directory service are not in it and go by their number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PasswdUsers(BTreeMap<u32, String>);

impl PasswdUsers {
    /// Parses the text of `/etc/passwd`; of several names of one id the first counts.
    pub fn parse(text: &str) -> Self {
        let mut users = BTreeMap::new();
        for line in text.lines() {
            let mut fields = line.split(':');
            if let (Some(name), Some(Ok(uid))) = (fields.next(), fields.nth(1).map(str::parse)) {
                users.entry(uid).or_insert_with(|| name.to_owned());
            }
        }
        Self(users)
    }
}

impl Users for PasswdUsers {
    fn name(&self, uid: u32) -> Option<String> {
        self.0.get(&uid).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_passwd() {
        let users = PasswdUsers::parse("root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/:\nbad\n:\na:x:1000:1000:::\n");
        assert_eq!(users.name(0).as_deref(), Some("root"));
        assert_eq!(users.name(1000).as_deref(), Some("a"));
        assert_eq!(users.name(7), None);
    }
}
